'use strict';
/*
 * A devnet in one process: some real lisk-p2p nodes on loopback that play a blockchain. Every second one of them has a
 * "block": it tells its height in its node info, broadcasts `postBlock`, and all answer `getLastBlock`.
 *
 *   node devnet.js DIRECTORY CONFIG     the directory of @liskhq/lisk-p2p; {"ports": [..], "nodeInfo": {..}, "schema": {..}}
 *
 * Writes one line of JSON when all nodes listen. The end of standard input ends it.
 */
delete globalThis.WebSocket; // Node 22 and later have one, which the SocketCluster client would prefer: it is too simple

const [, , directory, text] = process.argv;
const { P2P, events } = require(directory);
const { ports, nodeInfo, schema } = JSON.parse(text);

const BLOCK_TIME_MS = 1000;
let height = 0;

const options = () => ({
	height,
	maxHeightPrevoted: Math.max(0, height - 1),
	blockVersion: 2,
	lastBlockID: Buffer.from(String(height).padStart(8, '0')),
	legacy: [],
});

const block = () => ({ height, id: options().lastBlockID.toString('hex'), generatedBy: 'the local devnet' });

const makeNode = (port, index) => {
	const p2p = new P2P({
		hostIp: '127.1', // as 127.0.0.1; lisk-p2p takes peers with its own hostIp for itself
		port,
		nodeInfo: {
			chainID: Buffer.from(nodeInfo.chainID, 'hex'),
			networkVersion: nodeInfo.networkVersion,
			nonce: `devnet${index}`,
			advertiseAddress: true,
			options: options(),
		},
		customNodeInfoSchema: schema,
		seedPeers: index === 0 ? [] : [{ ipAddress: '127.0.0.1', port: ports[0] }],
		populatorInterval: 250,
	});
	p2p.on(events.EVENT_REQUEST_RECEIVED, request => {
		if (request.procedure === 'getLastBlock') {
			request.end(block());
		} else if (request.procedure !== 'getNodeInfo' && request.procedure !== 'getPeers' && !request.wasResponseSent) {
			request.error(new Error(`the local devnet has no procedure ${request.procedure}`));
		}
	});
	return p2p;
};

/** start() of lisk-p2p resolves before its socket listens; a port that is taken shows as an uncaught exception. */
const listening = p2p =>
	new Promise(resolve => {
		const server = p2p._peerServer._httpServer;
		if (server.listening) {
			resolve();
		} else {
			server.once('listening', resolve);
		}
	});

const forge = nodes => {
	height += 1;
	const node = nodes[height % nodes.length];
	for (const one of nodes.filter((_, index) => height % 4 === 0 || index === height % nodes.length)) {
		one.applyNodeInfo({ ...one.nodeInfo, options: options() });
	}
	node.broadcast({ event: 'postBlock', data: block() });
};

const run = async () => {
	const nodes = ports.map(makeNode);
	for (const node of nodes) {
		await node.start();
		await listening(node);
	}
	process.stdout.write(`${JSON.stringify({ ports })}\n`);
	setInterval(() => forge(nodes), BLOCK_TIME_MS);
};

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.on('uncaughtException', error => {
	process.stderr.write(`devnet: ${error.message}\n`);
	process.exit(1);
});
run();
