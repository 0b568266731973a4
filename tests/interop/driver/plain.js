'use strict';
/*
 * JSON on the pipes cannot carry bytes, errors, maps or sockets. Everything that leaves the driver goes through
 * `plain`, everything that enters through `revive`. Bytes are {"base64": "..."} in both directions.
 */

const MAX_DEPTH = 10;

const base64Form = bytes => ({
	base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
});

const ownFields = (value, depth) => {
	const fields = {};
	for (const key of Object.keys(value)) {
		const field = plain(value[key], depth + 1);
		if (field !== undefined) {
			fields[key] = field;
		}
	}
	return fields;
};

/** An error as plain fields: name and message first, then whatever its class adds (peerId, statusCode, ...). */
const plainError = (error, depth = 0) => ({
	...ownFields(error, depth),
	name: String(error.name),
	message: String(error.message),
});

function plainObject(value, depth) {
	if (value instanceof Error) {
		return { error: plainError(value, depth) };
	}
	if (value instanceof Date) {
		return value.toISOString();
	}
	if (value instanceof Map) {
		return ownFields(Object.fromEntries(value), depth);
	}
	if (value instanceof Set) {
		return [...value].map(item => plain(item, depth + 1));
	}
	if (Array.isArray(value)) {
		return value.map(item => plain(item, depth + 1) ?? null);
	}
	const prototype = Object.getPrototypeOf(value);
	if (prototype !== Object.prototype && prototype !== null) {
		// Sockets and other live objects: naming the class is all a test can use, and their graphs are cyclic.
		return `[${prototype.constructor.name}]`;
	}
	return ownFields(value, depth);
}

/** Any value of lisk-p2p as something JSON can hold; undefined where there is nothing to say. */
function plain(value, depth = 0) {
	if (value instanceof Uint8Array) {
		return base64Form(value);
	}
	if (typeof value === 'bigint') {
		return value.toString();
	}
	if (typeof value === 'function' || typeof value === 'symbol') {
		return undefined;
	}
	if (value === null || typeof value !== 'object') {
		return value;
	}
	return depth >= MAX_DEPTH ? '[too deep]' : plainObject(value, depth);
}

/** The inverse for what comes in: {"base64": "..."} anywhere becomes a Buffer. */
function revive(value) {
	if (Array.isArray(value)) {
		return value.map(revive);
	}
	if (value === null || typeof value !== 'object') {
		return value;
	}
	const keys = Object.keys(value);
	if (keys.length === 1 && typeof value.base64 === 'string') {
		return Buffer.from(value.base64, 'base64');
	}
	return Object.fromEntries(keys.map(key => [key, revive(value[key])]));
}

module.exports = { plain, plainError, revive };
