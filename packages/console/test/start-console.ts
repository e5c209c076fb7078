import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createDatabase, type Database, parsePeppers } from '@cashflow/db'
import { createTestDatabase, nullLogger, recordingLogger } from '@cashflow/testing'
import type { AccessOptions } from '../src/server/console.ts'
import { createConsole } from '../src/server/index.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Its JSON. Undefined if it has none. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

export interface Asked {
  readonly method?: string
  /** By default those of the console's own page. Undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body?: unknown
}

export type ConsoleUnderTest = Awaited<ReturnType<typeof startConsole>>

/** The token that the console takes any number of times. */
export const TOKEN = randomBytes(32).toString('hex')

/**
 * Starts the console on a free port.
 *
 * @param given the database of another console. By default it has one of its own
 * @param sandboxSocket by default the console has no sandbox panel
 */
export async function startConsole(
  options: Partial<AccessOptions> = {},
  given?: { readonly db: Database },
  sandboxSocket?: string,
) {
  const database = given ? undefined : await createTestDatabase()
  const open = (url: string) => createDatabase({ url, applicationName: 'test', poolMax: 3, logger: nullLogger })
  const db = given?.db ?? open(String(database?.url))
  const log = recordingLogger()
  const peppers = parsePeppers(randomBytes(32).toString('hex'))
  const access = {
    ...{ hosts: [], token: TOKEN, peppers, clientOf: () => '127.0.0.1', isProxy: () => false },
    ...options,
  }
  const { app } = createConsole({ db, logger: log.logger, sandbox: true, sandboxSocket, version: '1.2.3', access })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  /** Sends a request as a browser does. fetch would set neither `Host` nor `Sec-Fetch-Site`. */
  async function ask(path: string, { method = 'GET', headers, body }: Asked = {}): Promise<Answer> {
    const sent = request({ port, host: '127.0.0.1', path, method, agent: false, setHost: false })
    const own = { Host: `127.0.0.1:${port}`, 'Sec-Fetch-Site': 'same-origin', 'Content-Type': 'application/json' }
    for (const [name, value] of Object.entries({ ...own, ...headers }))
      if (value !== undefined) sent.setHeader(name, value)
    const content = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
    if (content !== '') sent.setHeader('Content-Length', Buffer.byteLength(content))
    sent.end(content)
    const [answer] = await once(sent, 'response')
    const received = await text(answer)
    const isJson = /json/.test(answer.headers['content-type'] ?? '')
    return { status: answer.statusCode, headers: answer.headers, body: isJson ? JSON.parse(received) : undefined }
  }
  const post = (path: string, body: unknown, headers?: Asked['headers']) =>
    ask(path, { method: 'POST', body, ...(headers && { headers }) })
  const login = (token: string, headers?: Asked['headers']) => post('/api/login', { token }, headers)
  return {
    ...{ db, peppers, port, log, ask, post, login },
    /** Logs in, and returns the cookie as the browser sends it. */
    async cookieOf(token = TOKEN): Promise<string> {
      const { headers } = await login(token)
      return String(headers['set-cookie']?.[0]?.split(';')[0])
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      if (!database) return
      await db.destroy()
      await database.drop()
    },
  }
}
