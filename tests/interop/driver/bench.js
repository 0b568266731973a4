'use strict';
/*
 * Load for benchmarks, generated inside the node's own process so that the pipe to the test is not what is measured.
 * Times are seconds of the monotonic clock, which all processes of one machine share (Python: time.monotonic()).
 */

const BURST = 64; // messages handed to the node between two turns of its event loop
const HIGH_WATER_BYTES = 4 * 1024 * 1024; // stop handing over while more than this waits to be written

const monotonicS = () => Number(process.hrtime.bigint()) / 1e9;
const nextTurn = () => new Promise(resolve => setImmediate(resolve));

/** Bytes accepted by the WebSocket of one peer and not yet given to the kernel. */
const bufferedBytes = peer => {
	const socket = peer._socket; // client sockets keep their WebSocket one level deeper than server sockets
	const webSocket = socket && (socket.transport ? socket.transport.socket : socket.socket);
	return webSocket ? webSocket.bufferedAmount : 0;
};

const totalBuffered = (p2p, peerId) => {
	const peers = peerId === undefined ? p2p._peerPool.getPeers() : [p2p._peerPool.getPeer(peerId)];
	return peers.reduce((sum, peer) => sum + (peer ? bufferedBytes(peer) : 0), 0);
};

/** Sends `count` messages of `size` bytes to one peer, or as broadcasts when no peer is named. */
async function flood(p2p, { event, count, size, peerId, burst = BURST }) {
	const packet = { event, data: Buffer.alloc(size, 0x61) };
	const sendOne = peerId === undefined ? () => p2p.broadcast(packet) : () => p2p.sendToPeer(packet, peerId);
	const startedAt = monotonicS();
	for (let sent = 0; sent < count; ) {
		for (const end = Math.min(count, sent + burst); sent < end; sent += 1) {
			sendOne();
		}
		do {
			await nextTurn();
		} while (totalBuffered(p2p, peerId) > HIGH_WATER_BYTES);
	}
	while (totalBuffered(p2p, peerId) > 0) {
		await nextTurn();
	}
	const endedAt = monotonicS();
	return { count, size, startedAt, endedAt, elapsed: endedAt - startedAt };
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

const latencySummary = latencies => {
	const sorted = Float64Array.from(latencies).sort();
	if (sorted.length === 0) {
		return {};
	}
	return {
		min: sorted[0],
		p50: percentile(sorted, 0.5),
		p90: percentile(sorted, 0.9),
		p99: percentile(sorted, 0.99),
		max: sorted[sorted.length - 1],
		mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
	};
};

/** Makes `count` requests of `size` bytes to one peer with at most `inFlight` unanswered; latencies in seconds. */
async function rpcFlood(p2p, { procedure, count, size, inFlight, peerId }) {
	const packet = { procedure, data: Buffer.alloc(size, 0x61) };
	const latencies = [];
	let started = 0;
	let failed = 0;
	let firstError;
	const worker = async () => {
		while (started < count) {
			started += 1;
			const askedAt = monotonicS();
			try {
				await p2p.requestFromPeer(packet, peerId);
				latencies.push(monotonicS() - askedAt);
			} catch (error) {
				failed += 1;
				firstError = firstError ?? String(error);
			}
		}
	};
	const startedAt = monotonicS();
	await Promise.all(Array.from({ length: inFlight }, worker));
	const endedAt = monotonicS();
	return {
		count,
		size,
		inFlight,
		failed,
		firstError,
		startedAt,
		endedAt,
		elapsed: endedAt - startedAt,
		latency: latencySummary(latencies),
	};
}

/** Counts messages of one event name instead of forwarding them, until `expected` have arrived. */
class Counter {
	constructor(expected) {
		this.expected = expected;
		this.count = 0;
		this.bytes = 0;
		this.done = new Promise(resolve => {
			this._resolve = resolve;
		});
	}

	add(data) {
		this.count += 1;
		this.bytes += data ? data.length : 0;
		if (this.count === 1) {
			this.firstAt = monotonicS();
		}
		if (this.count === this.expected) {
			this.lastAt = monotonicS();
			this._resolve();
		}
	}

	/** The result when all have arrived, or what there is after `timeoutMs` (then `complete` is false). */
	async wait(timeoutMs) {
		let timer;
		const late = new Promise(resolve => {
			timer = setTimeout(resolve, timeoutMs);
		});
		await Promise.race([this.done, late]);
		clearTimeout(timer);
		const { count, expected, bytes, firstAt, lastAt } = this;
		const complete = count >= expected;
		return { count, expected, bytes, firstAt, lastAt, complete, elapsed: complete ? lastAt - firstAt : undefined };
	}
}

module.exports = { Counter, flood, monotonicS, rpcFlood };
