import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { PROBLEM_TYPE, PROBLEMS, Problem, problemBody } from './problem.ts'
import { requestIdOf } from './request-id.ts'

/**
 * Answers what Node could not take for a request: broken HTTP, headers that are too large or too slow. `exchanges` are
 * those of the connection that have not ended.
 */
export function answerBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Socket,
  exchanges: readonly ServerResponse[],
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // Requests before this one get their answers first, and then the connection ends: an answer now would pass for theirs.
  const earlier = exchanges.filter((res) => res.req.complete)
  for (const res of earlier) if (!res.headersSent) res.setHeader('Connection', 'close')
  if (earlier.length > 0) return
  // The body of a request that has its answer already.
  if (exchanges.some((res) => res.headersSent)) return void socket.destroy()
  const problem = toProblem(error.code)
  const { status } = PROBLEMS[problem.code]
  const requestId = requestIdOf(undefined)
  const body = JSON.stringify(problemBody(problem, requestId))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    'Cache-Control: no-store',
    `Content-Type: ${PROBLEM_TYPE}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Request-Id: ${requestId}`,
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroySoon()
}

function toProblem(code: string | undefined): Problem {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'The headers did not arrive in time.')
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers-too-large', 'The headers are larger than 16 kB.')
    default:
      return new Problem('bad-request', 'This is not HTTP/1.1.')
  }
}
