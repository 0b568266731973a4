"""The game as actors: three players, each with a node of its own, and the Game that watches them.

A player lives in a city, and moves to another one at random every so often. Where it lives is part of its node info,
which everybody gets who connects; each move is a message to all peers. Whoever finds somebody else in its city stays
there. When all three are in one city, and each of them knows it, the game is over.

    Game                 counts who has met whom, ends the game
     |- Player Ann       an Application; its child is a Node
     |- Player Bob
     '- Player Cid

Nothing waits and nothing is shared: a player knows of the others what their nodes told its node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thespian.actors import ChildActorExited

from actors.application import Application
from actors.base import HouseActor
from core.config import NodeConfig
from core.events import MessageReceived, UpdatedPeerInfo
from core.messages import ActorMessage, NodeStarted

NAMES = ("Ann", "Bob", "Cid")

SCHEMA = {
    "$id": "/find_city/player",
    "type": "object",
    "properties": {
        "city": {"dataType": "string", "fieldNumber": 1},
        "moves": {"dataType": "uint32", "fieldNumber": 2},
    },
}
"""What a node tells its peers besides the usual (``custom_node_info_schema``); all nodes of a network share it."""

MOVED = "moved"
"""The message about a move. A node pushes its node info three times in ten seconds at most, as lisk-p2p nodes ban for
more: that is for newcomers, and messages are for news."""


# ---- messages: frozen, picklable, without addresses, as everywhere in the house -----------------------------------


class Play(ActorMessage, frozen=True):
    """Program -> Game: begin. What happens comes back as Said, the end as GameOver."""

    cities: tuple[str, ...]
    move_interval_s: float = 0.2


class Join(ActorMessage, frozen=True):
    """Game -> Player: start your node, and move from city to city."""

    name: str
    cities: tuple[str, ...]
    move_interval_s: float
    seeds: tuple[str, ...]


class Joined(ActorMessage, frozen=True):
    """Player -> Game: my node listens at this address."""

    name: str
    address: str


class Said(ActorMessage, frozen=True):
    """Player -> Game -> program: something happened."""

    name: str
    text: str


class Met(ActorMessage, frozen=True):
    """Player -> Game: as far as I know everybody is in my city (or ``city`` is empty: not any more)."""

    name: str
    city: str


class Leave(ActorMessage, frozen=True):
    """Game -> Player: stop your node."""


class Left(ActorMessage, frozen=True):
    """Player -> Game: my node has stopped."""

    name: str


class GameOver(ActorMessage, frozen=True):
    """Game -> program: all players are in ``city`` and their nodes have stopped; empty if the game failed."""

    city: str
    moves: int
    reason: str = ""


# ---- actors -------------------------------------------------------------------------------------------------------


class Player(Application):
    """One player. Parent: Game. Child: its Node."""

    def receiveMsg_Join(self, message: Join, sender: Any) -> None:
        """The beginning."""
        self._game, self._join = sender, message
        self._dice = self.environment.rng(f"player {message.name}")
        self._city = self._dice.choice(message.cities)
        self._moves = 0
        self._others: dict[str, tuple[str, int]] = {}  # by peer id: where it is, after how many moves
        self._met = ""
        self.start_node(
            NodeConfig(
                host_ip="127.0.0.1",
                port=0,
                seed_peers=message.seeds,
                populator_interval_s=0.2,
                custom_node_info_schema=SCHEMA,
                node_info={"options": self._place()},
            )
        )

    def node_started(self, started: NodeStarted) -> None:
        """The others can find us now."""
        assert started.listening is not None, "a node of the game listens"
        self.send(self._game, Joined(self._join.name, started.listening.peer_id))
        self._say(f"is in {self._city}")
        self.after(self._join.move_interval_s, self._move)

    def receiveMsg_UpdatedPeerInfo(self, event: UpdatedPeerInfo, sender: Any) -> None:
        """What another player's node says of itself when a connection is made, and after a while again."""
        self._heard(event.peer.peer_id, event.peer.options)

    def receiveMsg_MessageReceived(self, event: MessageReceived, sender: Any) -> None:
        """Another player has moved, or somebody else sends us nonsense."""
        try:
            said = event.json()
        except ValueError:
            return
        if event.event == MOVED and isinstance(said, dict):
            self._heard(event.peer_id, said)

    def receiveMsg_Leave(self, message: Leave, sender: Any) -> None:
        """The end."""
        self.stop_node(lambda _: self.send(self._game, Left(self._join.name)))

    def _move(self) -> None:
        if self.node is None:
            return
        if all(city != self._city for city, _ in self._others.values()):
            self._moves += 1
            self._city = self._dice.choice([city for city in self._join.cities if city != self._city])
            self._say(f"moves to {self._city}")
            self.broadcast(MOVED, self._place())
            self.apply_node_info(self._place())
            self._look_around()
        self.after(self._join.move_interval_s * self._dice.uniform(0.5, 1.5), self._move)

    def _heard(self, peer_id: str, place: Mapping[str, object]) -> None:
        """News of one player, unless it is old: two connections, or two actors, keep no order between them."""
        city, moves = place.get("city"), place.get("moves")
        if isinstance(city, str) and isinstance(moves, int) and moves >= self._others.get(peer_id, ("", 0))[1]:
            self._others[peer_id] = (city, moves)
            self._look_around()

    def _look_around(self) -> None:
        cities = [city for city, _ in self._others.values()]
        met = self._city if cities == [self._city] * (len(NAMES) - 1) else ""
        if met != self._met:
            self._met = met
            self.send(self._game, Met(self._join.name, met))

    def _place(self) -> dict[str, object]:
        return {"city": self._city, "moves": self._moves}

    def _say(self, text: str) -> None:
        self.send(self._game, Said(self._join.name, text))


class Game(HouseActor):
    """Makes the players, passes on what they say, and ends the game. Children: three Players."""

    def receiveMsg_Play(self, message: Play, sender: Any) -> None:
        """The players come one after the other."""
        self._program, self._play = sender, message
        self._players: dict[str, Any] = {}
        self._met: dict[str, str] = {}
        self._moves = 0
        self._city = ""
        self._left: set[str] = set()
        self._addresses: tuple[str, ...] = ()
        self._add_player(NAMES[0])

    def receiveMsg_Joined(self, message: Joined, sender: Any) -> None:
        """Somebody listens: the next may come, and knows all who are there."""
        self._addresses += (message.address,)
        if len(self._addresses) < len(NAMES):
            self._add_player(NAMES[len(self._addresses)])

    def receiveMsg_Said(self, message: Said, sender: Any) -> None:
        """Something to show."""
        self._moves += message.text.startswith("moves")
        self.send(self._program, message)

    def receiveMsg_Met(self, message: Met, sender: Any) -> None:
        """Over when all three say the same. Who is in one city with two others stays, so it remains true."""
        self._met[message.name] = message.city
        cities = set(self._met.values())
        if len(self._met) == len(NAMES) and len(cities) == 1 and not self._city:
            (self._city,) = cities
            if self._city:
                for player in self._players.values():
                    self.send(player, Leave())

    def receiveMsg_Left(self, message: Left, sender: Any) -> None:
        """When the last has left, tell the result."""
        self._left.add(message.name)
        if len(self._left) == len(NAMES):
            self.send(self._program, GameOver(self._city, self._moves))

    def receiveMsg_ChildActorExited(self, message: ChildActorExited, sender: Any) -> None:
        """A player whose node fails ends, and the game with it."""
        if message.childAddress in self._players.values() and len(self._left) < len(NAMES):
            self.send(self._program, GameOver("", self._moves, "a player's node has failed; the log says why"))
            self.leave()

    def _add_player(self, name: str) -> None:
        player = self._players[name] = self.createActor(Player)
        self.send(player, Join(name, self._play.cities, self._play.move_interval_s, self._addresses))
