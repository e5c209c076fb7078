import { type Address, AddressError, type Host, parseAddress, parseHosts } from './address.ts'

/** The comma between two URLs. Commas between hosts, or in a password, are not followed by a scheme. */
const BETWEEN_URLS = /,\s*(?=[a-z][a-z0-9+.-]*:\/\/)/i
const COMMA_AFTER_HOSTS = /^[^/]*\/\/[^/?#]*[/?#].*,/s

/**
 * Reads RabbitMQ URLs that are separated by commas. A URL may name several hosts. Each host gets an address of its own.
 *
 * @throws AddressError
 */
export function readBrokerUrls(text: string): readonly Address[] {
  const addresses = text.trim().split(BETWEEN_URLS).flatMap(readBrokerUrl)
  if (new Set(addresses.map(({ scheme }) => scheme)).size > 1)
    throw new AddressError('must not have both amqp:// and amqps://, because passwords would be sent unencrypted')
  return addresses
}

function readBrokerUrl(text: string): readonly Address[] {
  const address = parseAddress(text, ['amqp', 'amqps'])
  if (COMMA_AFTER_HOSTS.test(text))
    throw new AddressError('must be URLs separated by commas; a comma in a vhost is %2C')
  checkParameters(address.query)
  const hosts = address.hosts.length === 0 ? [{ name: 'localhost' }] : address.hosts
  checkBrokerHosts(hosts)
  return hosts.map((host) => ({ ...address, hosts: [host] }))
}

/**
 * Reads a list of hosts, as `parseHosts` does.
 *
 * @throws AddressError, also for a Unix socket
 */
export function readBrokerHosts(text: string): readonly Host[] {
  const hosts = parseHosts(text)
  checkBrokerHosts(hosts)
  return hosts
}

function checkBrokerHosts(hosts: readonly Host[]): void {
  if (hosts.some(({ name }) => name.startsWith('/')))
    throw new AddressError('must not name a Unix socket: RabbitMQ listens on TCP only')
}

/** Parameters of other clients of RabbitMQ, which amqplib ignores. */
const IGNORED = ['auth_mechanism', 'cacertfile', 'certfile', 'keyfile', 'verify', 'server_name_indication']

/** amqplib reads an invalid number as 0, or sends it to the broker. */
function checkParameters(query: URLSearchParams): void {
  for (const name of IGNORED)
    if (query.has(name)) throw new AddressError(`must not have ${name}: the settings for TLS are MQ_TLS_CA and others`)
  const heartbeat = query.get('heartbeat')
  if (heartbeat !== null && !isBetween(heartbeat, 1, 600))
    throw new AddressError('must have a heartbeat of 1 to 600 seconds: without one a silent broker is never noticed')
  for (const name of ['frameMax', 'channelMax', 'maxFrameSize']) {
    const value = query.get(name)
    if (value !== null && !isBetween(value, 0, 2 ** 31)) throw new AddressError(`must have a whole number as ${name}`)
  }
}

function isBetween(text: string, min: number, max: number): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max
}
