'use strict';
/*
 * One process = one lisk-p2p node, of the version that is the first argument. Commands come as JSON lines on standard input, answers and events leave as JSON
 * lines on standard output:
 *
 *   in    {"id": 1, "cmd": "sendToPeer", "peerId": "127.0.0.1:5001", "packet": {"event": "x", "data": {"base64": ".."}}}
 *   out   {"id": 1, "ok": true, "result": ...}   or   {"id": 1, "ok": false, "error": {"name": .., "message": ..}}
 *   out   {"event": "EVENT_MESSAGE_RECEIVED", "seq": 7, "time": 12.5, "payload": {...}}
 *
 * The end of standard input ends the node, so that none is left behind when a test process dies. An exception that
 * the node does not catch is reported as the event DRIVER_CRASHED and ends the process with code 99.
 */

// Node 22 and later have a global WebSocket, which the SocketCluster client would prefer: it takes no options (payload
// limit) and shows no control frames. Without it the client takes the one lisk-p2p was written for.
delete globalThis.WebSocket;

const readline = require('readline');
const { P2P, constants, events, InboundPeer, Peer } = require('./generation');
const { Counter, flood, monotonicS, rpcFlood } = require('./bench');
const { plain, plainError, revive } = require('./plain');

const CRASH_EXIT_CODE = 99;
const STOP_TIMEOUT_MS = 3000;
const SLOW_ANSWER_MS = 500;

const EVENT_NAMES = Object.keys(events).filter(name => name.startsWith('EVENT_'));
// The P2P object exports these two but never emits them; they are taken from the peers themselves. By value.
const PEER_ONLY_EVENTS = new Map(
	['EVENT_INVALID_REQUEST_RECEIVED', 'EVENT_INVALID_MESSAGE_RECEIVED'].map(name => [events[name], name]),
);

let p2p;
let eventCount = 0;
let requestCount = 0;
const counters = new Map(); // message event name -> Counter
const heldRequests = new Map(); // requestId -> P2PRequest, for the behaviour `hold`
const procedures = new Map([
	['echo', { behaviour: 'echo' }],
	['fail', { behaviour: 'fail' }],
	['silent', { behaviour: 'silent' }],
	['slow', { behaviour: 'slow' }],
]);

const write = object => process.stdout.write(`${JSON.stringify(object)}\n`);

const report = (event, payload) => {
	eventCount += 1;
	write({ event, seq: eventCount, time: monotonicS(), payload: plain(payload) });
};

/* Incoming requests and messages ------------------------------------------------------------------------------- */

const BEHAVIOURS = {
	echo: request => request.end(request.data),
	answer: (request, { data }) => request.end(data),
	fail: (request, { message = 'refused by the test' }) => request.error(new Error(message)),
	silent: () => undefined,
	slow: (request, { delayMs = SLOW_ANSWER_MS }) => setTimeout(() => request.end(request.data), delayMs),
	hold: (request, _options, requestId) => heldRequests.set(requestId, request),
};

const onRequest = request => {
	const options = procedures.get(request.procedure) ?? { behaviour: 'silent' };
	requestCount += 1;
	const requestId = requestCount;
	if (!options.quiet) {
		const { procedure, data, peerId, rate, wasResponseSent } = request;
		report('EVENT_REQUEST_RECEIVED', { requestId, procedure, data, peerId, rate, wasResponseSent });
	}
	if (!request.wasResponseSent) {
		BEHAVIOURS[options.behaviour](request, options, requestId);
	}
};

const onMessage = message => {
	const counter = counters.get(message.event);
	if (counter === undefined) {
		report('EVENT_MESSAGE_RECEIVED', message);
	} else {
		counter.add(message.data);
	}
};

const forwardEvents = () => {
	for (const name of EVENT_NAMES) {
		if (name === 'EVENT_REQUEST_RECEIVED') {
			p2p.on(events[name], onRequest);
		} else if (name === 'EVENT_MESSAGE_RECEIVED') {
			p2p.on(events[name], onMessage);
		} else {
			p2p.on(events[name], payload => report(name, payload));
		}
	}
};

/** What happens inside the peers and never becomes an event of the P2P object. */
const watchPeers = () => {
	const { emit, request } = Peer.prototype;
	Peer.prototype.emit = function emitAndReport(name, ...args) {
		if (PEER_ONLY_EVENTS.has(name)) {
			report(PEER_ONLY_EVENTS.get(name), args[0]);
		}
		return emit.call(this, name, ...args);
	};
	InboundPeer.prototype.request = function requestAndReportPing(packet) {
		const answered = request.call(this, packet);
		if (packet.procedure === events.REMOTE_EVENT_PING) {
			const peerId = this.id;
			answered.then(
				({ data }) => report('DRIVER_PING', { peerId, answer: data }),
				error => report('DRIVER_PING', { peerId, error }),
			);
		}
		return answered;
	};
};

/* Life of the node --------------------------------------------------------------------------------------------- */

/** start() of lisk-p2p resolves before its socket listens; this resolves when a connection would be accepted. */
const listening = () =>
	new Promise(resolve => {
		const server = p2p._peerServer && p2p._peerServer._httpServer;
		if (!server || server.listening) {
			resolve();
			return;
		}
		server.once('listening', resolve);
	});

const createNode = ({ config, constants: changed = {} }) => {
	for (const [name, value] of Object.entries(changed)) {
		if (!(name in constants)) {
			throw new Error(`lisk-p2p has no constant ${name}`);
		}
		constants[name] = value;
	}
	const { acceptEveryPeer, ...options } = config; // a function cannot come through the pipe
	if (acceptEveryPeer) {
		options.peerHandshakeCheck = () => ({ success: true });
	}
	p2p = new P2P(options);
	forwardEvents();
	watchPeers();
};

/** Stops the node. False when it did not finish: its HTTP server waits for ever for connections without an upgrade. */
const stopNode = async () => {
	if (!p2p || !p2p.isActive) {
		return true;
	}
	let timer;
	const late = new Promise(resolve => {
		timer = setTimeout(() => resolve(false), STOP_TIMEOUT_MS);
	});
	const clean = await Promise.race([p2p.stop().then(() => true), late]);
	clearTimeout(timer);
	return clean;
};

const exit = code => process.stdout.write('', () => process.exit(code));

const inspect = () => ({
	pool: p2p._peerPool.getPeers().map(peer => ({ ...peer.peerInfo, state: peer.state })),
	newPeers: p2p._peerBook.newPeers,
	triedPeers: p2p._peerBook.triedPeers,
	bannedIPs: p2p._peerBook.bannedIPs,
});

/* Commands ----------------------------------------------------------------------------------------------------- */

const COMMANDS = {
	async start(args) {
		createNode(args);
		await p2p.start();
		await listening();
		return { nodeInfo: p2p.nodeInfo, pid: process.pid, version: process.version };
	},
	async stop() {
		return { clean: await stopNode() };
	},
	applyNodeInfo: ({ nodeInfo }) => p2p.applyNodeInfo({ ...p2p.nodeInfo, ...nodeInfo }),
	applyPenalty: ({ peerId, penalty }) => p2p.applyPenalty({ peerId, penalty }),
	request: ({ packet }) => p2p.request(packet),
	requestFromPeer: ({ packet, peerId }) => p2p.requestFromPeer(packet, peerId),
	send: ({ packet }) => p2p.send(packet),
	sendToPeer: ({ packet, peerId }) => p2p.sendToPeer(packet, peerId),
	broadcast: ({ packet }) => p2p.broadcast(packet),
	getConnectedPeers: () => p2p.getConnectedPeers(),
	getDisconnectedPeers: () => p2p.getDisconnectedPeers(),
	getTriedPeers: () => p2p.getTriedPeers(),
	getNetworkStats: () => p2p.getNetworkStats(),
	nodeInfo: () => p2p.nodeInfo,
	isActive: () => p2p.isActive,
	inspect,
	setProcedure({ procedure, options }) {
		if (!(options.behaviour in BEHAVIOURS)) {
			throw new Error(`unknown behaviour ${options.behaviour}; known: ${Object.keys(BEHAVIOURS).join(', ')}`);
		}
		procedures.set(procedure, options);
	},
	respond({ requestId, data, error }) {
		const request = heldRequests.get(requestId);
		if (!request) {
			throw new Error(`no held request ${requestId}`);
		}
		heldRequests.delete(requestId);
		if (error === undefined) {
			request.end(data);
		} else {
			request.error(new Error(error));
		}
	},
	flood: args => flood(p2p, args),
	rpcflood: args => rpcFlood(p2p, args),
	count: ({ event, expected }) => {
		counters.set(event, new Counter(expected));
	},
	async countResult({ event, timeoutMs }) {
		const counter = counters.get(event);
		if (!counter) {
			throw new Error(`messages ${event} are not being counted`);
		}
		const result = await counter.wait(timeoutMs);
		counters.delete(event);
		return result;
	},
	usage: () => ({ memory: process.memoryUsage(), cpu: process.cpuUsage(), time: monotonicS() }),
};

const execute = async ({ id, cmd, ...args }) => {
	try {
		const command = Object.hasOwn(COMMANDS, cmd) ? COMMANDS[cmd] : undefined;
		if (!command) {
			throw new Error(`unknown command ${cmd}`);
		}
		if (!p2p && cmd !== 'start' && cmd !== 'stop' && cmd !== 'setProcedure') {
			throw new Error(`${cmd} before start`);
		}
		const result = await command(revive(args));
		write({ id, ok: true, result: plain(result) });
	} catch (error) {
		const reason = error instanceof Error ? error : new Error(String(error));
		write({ id, ok: false, error: plainError(reason) });
	}
};

process.on('uncaughtException', (error, origin) => {
	const reason = error instanceof Error ? error : new Error(String(error));
	report('DRIVER_CRASHED', { origin, stack: reason.stack, ...plainError(reason) });
	exit(CRASH_EXIT_CODE);
});
process.stdout.on('error', () => process.exit(0)); // nobody reads any more

readline
	.createInterface({ input: process.stdin, crlfDelay: Infinity })
	.on('line', line => execute(JSON.parse(line)))
	.on('close', async () => {
		await stopNode();
		exit(0);
	});
