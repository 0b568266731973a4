"""A place to run a program as systemd or a container would: a read-only root, a user without any right, one directory.

Made of bind mounts in a mount namespace of its own, so nothing of it outlives the program. Needs root, ``unshare`` and
``setpriv`` (util-linux); where that is not to be had, the test is skipped and says what was missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
USER = 10001
"""Nobody on this machine, as in configs/Containerfile."""

LINUX = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
DEVICES = ("null", "zero", "full", "random", "urandom")
PR_SET_MDWE = 65

SCRIPT = """
root=$1; state=$2; settings=$3; shift 3
mount -t tmpfs -o mode=755 none "$root"
mkdir "$root/tmp"
mount -t tmpfs -o mode=1777 none "$root/tmp"  # first: the project itself may lie in it
show() { mkdir -p "$root$2"; mount --rbind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; }
for one in %(linux)s; do
    if [ -L "$one" ]; then ln -s "$(readlink "$one")" "$root$one"; elif [ -d "$one" ]; then show "$one" "$one"; fi
done
show %(python)s %(python)s
show %(project)s %(project)s
show %(environment)s /opt/ensemble
show "$settings" /etc/ensemble
cp /etc/ld.so.cache "$root/etc/"
mkdir -p "$root/proc" "$root/dev" "$root/var/lib/ensemble"
mount --rbind /proc "$root/proc"
for one in %(devices)s; do touch "$root/dev/$one"; mount --bind "/dev/$one" "$root/dev/$one"; done
mount --bind "$state" "$root/var/lib/ensemble"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid=%(user)d --regid=%(user)d --clear-groups \\
    --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all \\
    /opt/ensemble/bin/python -c "$DENY" "$@"
"""
DENY = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_MDWE}, 1, 0, 0, 0)  # MemoryDenyWriteExecute, where the kernel knows it
os.execv(sys.argv[1], sys.argv[1:])
"""


class Jail:
    """``settings`` shows as /etc/ensemble, ``state`` as /var/lib/ensemble, where alone the user can write."""

    def __init__(self, directory: Path) -> None:
        for tool in ("unshare", "setpriv", "chroot"):
            if shutil.which(tool) is None:
                pytest.skip(f"running without root: there is no {tool} command (install util-linux, coreutils)")
        tried = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True, text=True)
        if tried.returncode:
            pytest.skip(f"running without root: mount namespaces cannot be made here: {tried.stderr.strip()}")
        self._root = directory / "root"
        self.state = directory / "state"
        self.settings = directory / "settings"
        for path in (self._root, self.state, self.settings):
            path.mkdir()
        self.state.chmod(0o700)
        os.chown(self.state, USER, USER)

    def own(self, path: Path) -> None:
        """Give a file to the user, for reading only."""
        os.chown(path, USER, USER)
        path.chmod(0o400)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run a program there; its process id is that of what is returned."""
        script = SCRIPT % {
            "linux": " ".join(LINUX),
            "devices": " ".join(DEVICES),
            "python": sys.base_prefix,
            "project": ROOT,
            "environment": sys.prefix,
            "user": USER,
        }
        places = (self._root, self.state, self.settings)
        command = ["unshare", "--mount", "sh", "-euc", script, "sh", *map(str, places), *words]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DENY": DENY, "LANG": "C.UTF-8"},
        )
