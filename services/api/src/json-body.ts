import type { IncomingMessage } from 'node:http'
import { MIMEType } from 'node:util'
import type { Request, RequestHandler } from 'express'
import { type MemberError, Problem, validationProblem } from './problem.ts'

/** A number of the body as JSON text, so that floating point loses no digit. */
export class JsonNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

/** Reads a JSON object into `req.body`, or rejects the request. */
export const jsonBody: RequestHandler = async (req, _res, next) => {
  assertJson(req)
  req.body = parseObject(decode(await readBody(req)))
  next()
}

function assertJson(req: Request): void {
  if (!isJson(req.get('Content-Type')))
    throw new Problem('unsupported-media-type', 'Send Content-Type: application/json, in UTF-8.', {
      headers: { Accept: 'application/json' },
    })
  if ((req.get('Content-Encoding') ?? 'identity').toLowerCase() !== 'identity')
    throw new Problem('unsupported-media-type', 'Send the body without a Content-Encoding.', {
      headers: { 'Accept-Encoding': 'identity' },
    })
}

// MIMEType needs quadratic time for a run of spaces: 14,000 of them take half a second.
const CONTENT_TYPE_MAX = 255

function isJson(contentType = ''): boolean {
  if (contentType === 'application/json') return true
  if (contentType.length > CONTENT_TYPE_MAX) return false
  try {
    const { essence, params } = new MIMEType(contentType)
    return essence === 'application/json' && (params.get('charset') ?? 'utf-8').toLowerCase() === 'utf-8'
  } catch {
    return false
  }
}

const BODY_BYTES_MAX = 16_384
const CHUNKS_MAX = 64
const BODY_DEADLINE_MS = 10_000

/**
 * Reads the whole body into memory. A body that is too large is rejected immediately. Its rest is read and discarded, so
 * that the client reads its answer.
 *
 * @throws Problem
 */
export async function readBody(req: IncomingMessage, deadlineMs = BODY_DEADLINE_MS): Promise<Buffer> {
  if (Number(req.headers['content-length']) > BODY_BYTES_MAX) throw tooLarge()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const keep = (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > BODY_BYTES_MAX) {
      req.off('data', keep).resume()
      reject(tooLarge())
      return
    }
    // A chunk of one byte takes a hundred bytes of memory.
    if (chunks.push(chunk) === CHUNKS_MAX) chunks.splice(0, CHUNKS_MAX, Buffer.concat(chunks))
  }
  req.on('data', keep)
  req.once('end', () => resolve(Buffer.concat(chunks)))
  req.once('error', () => reject(new Problem('bad-request', 'The body ended early.')))
  const timer = setTimeout(() => reject(tooSlow()), deadlineMs)
  return promise.finally(() => clearTimeout(timer))
}

function tooLarge(): Problem {
  return new Problem('payload-too-large', `A body has at most ${BODY_BYTES_MAX} bytes.`)
}

function tooSlow(): Problem {
  return new Problem('request-timeout', 'The body did not arrive in time.', { headers: { Connection: 'close' } })
}

// Invalid bytes are rejected, not replaced: two different references would become one.
const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body)
  } catch {
    throw malformed('is not UTF-8')
  }
}

function parseObject(text: string): object {
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof JsonNumber)
    throw malformed('must be a JSON object')
  const repeated = repeatedNames(text, value)
  if (repeated.length > 0) throw validationProblem(repeated.map((name) => memberError(name, 'occurs more than once')))
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text, (_name, value, { source }) =>
      typeof value === 'number' && source !== undefined ? new JsonNumber(source) : value,
    )
  } catch (error) {
    // JSON.parse with a reviver is recursive: thousands of nested brackets exhaust the stack.
    throw malformed(error instanceof RangeError ? 'is nested too deeply' : 'is not JSON')
  }
}

// A string, with the colon that makes it a name, or a bracket.
const TOKEN = /("(?:[^"\\]|\\.)*")([ \t\r\n]*:)?|[[{]|[\]}]/g

/** Names that occur more than once in the outermost object. Parsers differ in which of the members they take. */
function repeatedNames(text: string, value: object): string[] {
  // Each occurrence has a colon. If the text has as many colons as the object has members, no name occurs twice.
  if (text.split(':').length - 1 === Object.keys(value).length) return []
  const counts = new Map<string, number>()
  let depth = 0
  for (const [token, string, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (colon && string && depth === 1) {
      const name = JSON.parse(string) as string
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  }
  return [...counts].filter(([, count]) => count > 1).map(([name]) => name)
}

function malformed(detail: string): Problem {
  return validationProblem([{ pointer: '#', detail }])
}

const NAME_MAX = 64

/** An error of an outermost member. Its pointer names the member, unless the name would fill the answer. */
export function memberError(name: string, detail: string): MemberError {
  if (name.length > NAME_MAX)
    return { pointer: '#', detail: `a member with a name of ${name.length} characters ${detail}` }
  return { pointer: pointerTo(name), detail }
}

/** A JSON pointer as URI fragment (RFC 6901 §6). */
function pointerTo(name: string): string {
  return `#/${encodeURIComponent(name.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'))}`
}
