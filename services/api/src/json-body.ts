import { MIMEType } from 'node:util'
import type { Request, RequestHandler } from 'express'
import { type MemberError, Problem, validationProblem } from './problem.ts'
import { readBody } from './read-body.ts'

/** A number of the body, as it was written: no digit is lost to floating point. */
export class JsonNumber {
  readonly source: string

  constructor(source: string) {
    this.source = source
  }
}

/** Leaves a JSON object in `req.body`, or refuses the request. */
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

// MIMEType reads a run of spaces again from each of them: 14,000 take half a second.
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

// Bytes that are no UTF-8 are refused, not replaced: two different references would become one.
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
    // A reviver descends by recursion, which thousands of brackets exhaust.
    throw malformed(error instanceof RangeError ? 'is nested too deeply' : 'is not JSON')
  }
}

// A string, and the colon that makes it a name; or a bracket.
const TOKEN = /("(?:[^"\\]|\\.)*")([ \t\r\n]*:)?|[[{]|[\]}]/g

/** The outermost object's names that occur more than once: parsers differ in which one they take. `value` is what `text` says. */
function repeatedNames(text: string, value: object): string[] {
  // Each occurrence has a colon, so with no more of these than members no name occurs twice.
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

// No member of ours comes near.
const NAME_MAX = 64

/** What is wrong with an outermost member, which is named unless its name would fill the answer. */
export function memberError(name: string, detail: string): MemberError {
  if (name.length > NAME_MAX)
    return { pointer: '#', detail: `a member with a name of ${name.length} characters ${detail}` }
  return { pointer: pointerTo(name), detail }
}

/** RFC 6901 §6. */
function pointerTo(name: string): string {
  return `#/${encodeURIComponent(name.toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'))}`
}
