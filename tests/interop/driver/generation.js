'use strict';
/*
 * The generation of lisk-p2p that this process runs: the version is its first argument, 0.10.0 without one. What the
 * rest of the driver needs has the same form in all of them, except that
 *
 *   - the values of events are not their names before 0.6 (`networkReady` for EVENT_NETWORK_READY),
 *   - before 0.6 a listener pings by an event of its own, which no method of a peer shows.
 */

const VERSION = process.argv[2] ?? '0.10.0';
const PACKAGES = { '0.10.0': '@liskhq/lisk-p2p' };
const name = PACKAGES[VERSION] ?? `lisk-p2p-${VERSION}`;

const { P2P, constants, events } = require(name);
const { InboundPeer, Peer } = require(`${name}/dist-node/peer`);

module.exports = { P2P, constants, events, InboundPeer, Peer };
