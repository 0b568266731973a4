'use strict';
// Times lisk-p2p's own PeerBook with both tables full and prints one JSON object: microseconds for each operation, one
// value a round. Run with the driver's directory as the working directory, so that its node_modules are found.
// Usage: node lisk_book.js ROUNDS BATCH

const path = require('path');
const root = path.join(process.cwd(), 'node_modules', '@liskhq', 'lisk-p2p', 'dist-node');
const { PeerBook } = require(path.join(root, 'peer_book'));

const [rounds, batch] = process.argv.slice(2).map(Number);
let state = 12345;
const next = limit => {
	state = (Math.imul(state, 1103515245) + 12345) >>> 0;
	return Math.floor((state / 4294967296) * limit);
};
const stranger = () => {
	const ipAddress = `${1 + next(9)}.${next(256)}.${next(256)}.${1 + next(254)}`;
	const sourceAddress = `${20 + next(80)}.${next(256)}.${next(256)}.1`;
	return { peerId: `${ipAddress}:5001`, ipAddress, port: 5001, sourceAddress };
};
const book = new PeerBook({
	secret: 7,
	sanitizedPeerLists: { blacklistedIPs: [], seedPeers: [], fixedPeers: [], whitelisted: [], previousPeers: [] },
});
const add = peer => {
	if (!book.hasPeer(peer)) {
		book.addPeer(peer);
	}
};
for (let i = 0; i < 60000 && book.newPeers.length < 4096; i += 1) {
	add(stranger());
}
for (let i = 0; i < 30000 && book.triedPeers.length < 2048; i += 1) {
	const peer = stranger();
	add(peer);
	book.upgradePeer(peer);
}

const time = (count, step) => {
	const began = process.hrtime.bigint();
	for (let i = 0; i < count; i += 1) {
		step(i);
	}
	return Number(process.hrtime.bigint() - began) / 1000 / count;
};
const known = book.allPeers;
const operations = {
	find: () => time(batch, i => book.hasPeer(known[i % known.length])),
	add: () => {
		const peers = Array.from({ length: batch }, stranger);
		return time(batch, i => add(peers[i]));
	},
	move_new_to_tried: () => {
		const peers = Array.from({ length: batch }, stranger);
		peers.forEach(add);
		return time(batch, i => book.upgradePeer(peers[i]));
	},
	getpeers_sample_200: () => time(Math.ceil(batch / 5), () => book.getRandomizedPeerList(100, 200)),
};
const results = {};
for (const [name, operation] of Object.entries(operations)) {
	operation();
	results[name] = Array.from({ length: rounds }, operation);
}
process.stdout.write(`${JSON.stringify(results)}\n`);
