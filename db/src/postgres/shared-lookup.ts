import dns from 'node:dns'
import { type LookupFunction, Socket } from 'node:net'

type Answered = Parameters<LookupFunction>[2]

/** Those who wait for the address of a name, by the name and how it is asked for. */
const waiting = new Map<string, Answered[]>()

/**
 * A socket that is connected by name, and looks the name up together with all others that want it at that time. Node has
 * two threads for that, and an attempt that is given up leaves its look-up behind. A name whose server does not answer
 * would soon take both, and no other host could be connected to.
 */
export class SharedLookupSocket extends Socket {
  // biome-ignore lint/suspicious/noExplicitAny: net's own has seven signatures; pg uses those of a path, and of a port and a host.
  override connect(...parameters: any[]): this {
    const [port, host] = parameters
    const options = typeof host === 'string' ? [{ port, host, lookup: sharedLookup }] : parameters
    return Reflect.apply(super.connect, this, options)
  }
}

const sharedLookup: LookupFunction = (name, options, callback) => {
  const key = `${name} ${JSON.stringify(options)}`
  const others = waiting.get(key)
  if (others) return void others.push(callback)
  const all = [callback]
  waiting.set(key, all)
  dns.lookup(name, options, (...answer) => {
    waiting.delete(key)
    for (const answered of all) answered(...answer)
  })
}
