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

/**
 * Creates a handler that reads a JSON object into `req.body`, or rejects the request.
 *
 * @param options.isOptional true if a request without a body is one with `{}`
 */
export function createJsonBody({ isOptional = false } = {}): RequestHandler {
  const largeBodies: LargeBodies = new Set()
  return async (req, _res, next) => {
    if (isOptional && !hasBody(req)) req.body = {}
    else {
      assertJson(req)
      req.body = parseObject(decode(await readBody(req, { largeBodies })))
    }
    next()
  }
}

/** RFC 9112 §6.3. */
function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
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

/** Room for the largest metadata, also if each of its characters is escaped. */
/** Maximum size of a body, in bytes. */
export const BODY_BYTES_MAX = 327_680
const LARGE_BYTES = 16_384
const LARGE_MAX = 100
const CHUNKS_MAX = 64
const BODY_DEADLINE_MS = 10_000

/** Rejects each large body that is arriving, in the order in which they became large. */
export type LargeBodies = Set<(problem: Problem) => void>

/**
 * Reads the whole body into memory. A body that is too large is rejected immediately. Its rest is read and discarded, so
 * that the client reads its answer.
 *
 * @param options.largeBodies shared by all requests. Above 100 large bodies the one that has been arriving longest is
 * rejected, so that clients that stall take little memory and keep no other client out
 * @throws Problem
 */
export async function readBody(
  req: IncomingMessage,
  {
    largeBodies = new Set(),
    deadlineMs = BODY_DEADLINE_MS,
  }: { largeBodies?: LargeBodies | undefined; deadlineMs?: number } = {},
): Promise<Buffer> {
  if (Number(req.headers['content-length']) > BODY_BYTES_MAX) throw tooLarge()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const refuse = (problem: Problem) => {
    req.off('data', keep).resume()
    chunks.length = 0
    reject(problem)
  }
  const keep = (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > BODY_BYTES_MAX) return refuse(tooLarge())
    if (sizeBytes > LARGE_BYTES) largeBodies.add(refuse)
    if (largeBodies.size > LARGE_MAX) refuseFirst(largeBodies)
    // A chunk of one byte takes a hundred bytes of memory.
    if (chunks.push(chunk) === CHUNKS_MAX) chunks.splice(0, CHUNKS_MAX, Buffer.concat(chunks))
  }
  req.on('data', keep)
  req.once('end', () => resolve(Buffer.concat(chunks)))
  req.once('error', () => reject(new Problem('bad-request', 'The body ended early.')))
  const timer = setTimeout(() => reject(tooSlow()), deadlineMs)
  return promise.finally(() => {
    clearTimeout(timer)
    largeBodies.delete(refuse)
  })
}

function refuseFirst(largeBodies: LargeBodies): void {
  const [first] = largeBodies
  if (!first) return
  largeBodies.delete(first) // At once: more bodies may become large before its promise is handled.
  first(
    new Problem('overloaded', 'Too many large bodies are arriving. Send the same request again.', {
      headers: { 'Retry-After': '1', Connection: 'close' },
    }),
  )
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
  if (text.length > LARGE_BYTES && hasManyValues(text)) throw malformed('has too many values for a payment')
  const value = parse(text)
  if (!isJsonObject(value)) throw malformed('must be a JSON object')
  const repeated = repeatedMembers(text, value)
  if (repeated.length > 0) throw validationProblem(repeated.map((path) => memberError(path, 'occurs more than once')))
  return value
}

export function isJsonObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
}

const VALUES_MAX = 1_000

/**
 * Returns whether the text has over 1,000 values. A large body with many values takes up to 0.2 s to parse, and the API
 * answers no other request in that time. One with few, long strings takes less than a millisecond.
 */
function hasManyValues(text: string): boolean {
  let values = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') inString = !inString
    else if (inString && char === '\\') at += 1
    else if (!inString && (char === ',' || char === '[' || char === '{')) values += 1
    if (values > VALUES_MAX) return true
  }
  return false
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

/**
 * Paths of members that occur more than once in the outermost object, or in an object that is a member of it. Parsers differ
 * in which of the members they take.
 */
function repeatedMembers(text: string, value: object): string[][] {
  // Each occurrence has a colon. If the text has as many colons as the objects have members, no name occurs twice.
  if (text.split(':').length - 1 === membersOf(value)) return []
  const counts = new Map<string, number>()
  const path: string[] = []
  let depth = 0
  for (const [token, string, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') depth--
    else if (colon && string && depth <= 2) {
      path.splice(depth - 1, 2, JSON.parse(string))
      const key = JSON.stringify(path)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  return [...counts].filter(([, count]) => count > 1).map(([key]) => JSON.parse(key))
}

/** Number of the object's members and of theirs. */
function membersOf(value: object): number {
  let members = 0
  for (const member of Object.values(value)) members += isJsonObject(member) ? 1 + Object.keys(member).length : 1
  return members
}

function malformed(detail: string): Problem {
  return validationProblem([{ pointer: '#', detail }])
}

const NAME_MAX = 64

/** An error of a member. Its pointer names the member, unless its last name would fill the answer: then its parent. */
export function memberError(path: readonly string[], detail: string): MemberError {
  const name = path.at(-1) ?? ''
  if (name.length <= NAME_MAX) return { pointer: pointerTo(path), detail }
  return {
    pointer: pointerTo(path.slice(0, -1)),
    detail: `a member with a name of ${name.length} characters ${detail}`,
  }
}

/** A JSON pointer as URI fragment (RFC 6901 §6). */
function pointerTo(path: readonly string[]): string {
  const tokens = path.map((name) => name.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'))
  return `#${tokens.map((token) => `/${encodeURIComponent(token)}`).join('')}`
}
