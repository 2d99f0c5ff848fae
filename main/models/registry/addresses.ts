import { BlockList, isIP } from 'node:net'

const inside = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  inside.addSubnet(network, bits, 'ipv4')
}
for (const [network, bits] of [
  ['::', 128],
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const) {
  inside.addSubnet(network, bits, 'ipv6')
}

/** True for an IP address of this machine or of a network that the public one cannot reach (RFC 6890). */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const version = isIP(bare)
  if (version === 0) return false
  if (version === 4) return inside.check(bare, 'ipv4')
  const mapped = embeddedIpv4(bare)
  return mapped === null ? inside.check(bare, 'ipv6') : inside.check(mapped, 'ipv4')
}

/** True when the text itself says so: a private address, or a name of this machine. What a name resolves to is another question. */
export function isPrivateHost(host: string): boolean {
  const bare = host.toLowerCase().replace(/\.$/, '')
  return bare === 'localhost' || bare.endsWith('.localhost') || isPrivateAddress(bare)
}

/** The IPv4 address within one that is mapped (`::ffff:a.b.c.d`) or translated (NAT64's `64:ff9b::`). */
function embeddedIpv4(address: string): string | null {
  // A URL writes every IPv6 address in its shortest hexadecimal form.
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high = '', low = ''] = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(short) ?? []
  if (low === '') return null
  const value = Number.parseInt(high || '0', 16) * 0x10000 + Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
}
