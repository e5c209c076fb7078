import { text } from 'node:stream/consumers'
import { openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { createLoginToken, readConsoleKeys } from '../../src/server/access/tokens.ts'
import { type Asked, type ConsoleUnderTest, startConsole, TOKEN } from '../start-console.ts'

const NAMED = { Host: 'console.example.com' }

describe('requests to the console', () => {
  let operators: ConsoleUnderTest
  let proxied: ConsoleUnderTest
  before(async () => {
    operators = await startConsole({ hosts: ['console.example.com', '[fd00::1]'] })
    proxied = await startConsole({ hosts: ['console.example.com'], isProxy: () => true }, operators)
  })
  after(async () => {
    await proxied.stop()
    await operators.stop()
  })

  for (const host of [
    ...['127.0.0.1:{port}', 'localhost:{port}', 'LOCALHOST', '[::1]:{port}', '[::1]'],
    ...['console.example.com', 'Console.Example.COM:8443', '[FD00::1]:443'],
  ])
    it(`console: answers a request for the host ${host}`, async () => {
      const { status } = await operators.ask('/api/me', {
        headers: { Host: host.replace('{port}', `${operators.port}`) },
      })
      expect(status).to.equal(401)
    })

  // Promise 134
  for (const host of [
    ...['evil.example:{port}', 'evil.example', '127.0.0.1.evil.example:{port}', 'console.example.com.evil.example'],
    ...['localhost.:{port}', '127.0.0.2', '127.1', '2130706433', '0.0.0.0:{port}', '::1', '[::ffff:127.0.0.1]', '[::1'],
    ...[
      '',
      ' ',
      '127.0.0.1:',
      '127.0.0.1:x',
      '127.0.0.1:1:2',
      '127.0.0.1@evil.example',
      'evil.example#127.0.0.1',
      'http://127.0.0.1',
    ],
  ])
    it(`console: refuses every request for the host "${host}" with 421, right token or not`, async () => {
      const Host = host.replace('{port}', `${operators.port}`)
      for (const answer of [
        await operators.ask('/', { headers: { Host } }),
        await operators.ask('/api/me', { headers: { Host, Cookie: await operators.cookieOf() } }),
        await operators.login(TOKEN, { Host }),
      ]) {
        expect([answer.status, answer.body?.error]).to.deep.equal([
          421,
          'The console does not know this host name. CONSOLE_HOSTS lists the names that it has.',
        ])
        expect(answer.headers).to.not.have.property('set-cookie')
      }
    })

  it('console: refuses a request without a host, and one with two of them', async () => {
    const sent = async (lines: readonly string[]) => {
      const socket = openSocket(`http://127.0.0.1:${operators.port}`)
      socket.end(`GET /api/me HTTP/1.0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)
      return Number((await text(socket)).split(' ')[1])
    }
    expect(await sent(['Host: localhost'])).to.equal(401)
    expect(await sent([])).to.equal(421)
    expect(await sent(['Host: localhost', 'Host: evil.example'])).to.be.oneOf([400, 421])
    expect(await sent(['Host: evil.example', 'Host: localhost'])).to.be.oneOf([400, 421])
  })

  // Promise 134
  for (const [site, origin] of [
    [undefined, undefined],
    [undefined, 'http://127.0.0.1:{port}'],
    ['same-site', undefined],
    ['cross-site', undefined],
    ['none', 'http://127.0.0.1:{port}'],
    ['Same-Origin', undefined],
    ['same-origin, cross-site', undefined],
  ] as const)
    it(`console: refuses an act with Sec-Fetch-Site ${site} and Origin ${origin}`, async () => {
      const headers = {
        'Sec-Fetch-Site': site,
        Origin: origin?.replace('{port}', `${operators.port}`),
        Cookie: await operators.cookieOf(),
      }
      for (const [method, path] of [
        ['POST', '/api/login'],
        ['POST', '/api/logout'],
        ['POST', '/api/dead-letters/requeue'],
        ['PUT', '/api/me'],
        ['DELETE', '/api/me'],
        ['OPTIONS', '/api/me'],
        ['PATCH', '/'],
      ] as const) {
        const answer = await operators.ask(path, { method, headers, body: { token: TOKEN } })
        expect([answer.status, answer.body?.error], `${method} ${path}`).to.deep.equal([
          403,
          'The request does not come from a page of the console.',
        ])
        expect(answer.headers).to.not.have.property('set-cookie')
        expect(answer.headers).to.not.have.property('access-control-allow-origin')
      }
      expect((await operators.ask('/api/me', { headers })).status).to.equal(200)
    })

  it('console: over plain HTTP by another name than those of loopback, login is refused with the word HTTPS', async () => {
    for (const headers of [
      NAMED,
      { ...NAMED, 'X-Forwarded-Proto': 'https' },
      { ...NAMED, 'Sec-Fetch-Site': undefined },
    ]) {
      const answer = await operators.login(TOKEN, headers)
      expect(answer.status).to.equal(403)
      expect(answer.body?.error).to.include('HTTPS')
      expect(answer.headers).to.not.have.property('set-cookie')
    }
    expect((await operators.ask('/api/me', { headers: NAMED })).status).to.equal(401)
  })

  for (const [forwarded, port] of [
    ['https', '443'],
    ['http, https', '443'],
    ['HTTPS', '443'],
  ])
    it(`console: behind a trusted proxy with X-Forwarded-Proto ${forwarded}, login works by any known name`, async () => {
      const answer = await proxied.login(TOKEN, { ...NAMED, 'X-Forwarded-Proto': forwarded })
      expect(answer.status).to.equal(200)
      expect(answer.headers['set-cookie']?.[0]).to.match(new RegExp(`^__Host-cashflow_${port}=`))
    })

  for (const forwarded of ['http', 'https, http', 'https,', undefined])
    it(`console: behind a trusted proxy with X-Forwarded-Proto ${forwarded}, login is refused`, async () => {
      expect((await proxied.login(TOKEN, { ...NAMED, 'X-Forwarded-Proto': forwarded })).status).to.equal(403)
    })

  // Promise 134
  it('console: a path of the server needs a login, also one that does not exist', async () => {
    for (const [method, path] of [
      ['GET', '/api/me'],
      ['GET', '/api/nothing'],
      ['POST', '/api/nothing'],
      ['GET', '/api'],
      ['GET', '/api/login'],
    ] as const) {
      const answer = await operators.ask(path, { method })
      expect([answer.status, answer.body], `${method} ${path}`).to.deep.equal([401, { error: 'Log in first.' }])
    }
  })

  // Promise 135
  it('console: a login that may read is refused every act, and reads', async () => {
    const keys = await readConsoleKeys(operators.db, operators.peppers)
    const { token } = createLoginToken({ name: 'ann', role: 'read', keys })
    const headers = { Cookie: await operators.cookieOf(token) }
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      const answer = await operators.ask('/api/nothing', { method, headers, body: {} })
      expect([answer.status, answer.body]).to.deep.equal([403, { error: 'This login may read, and not act.' }])
    }
    expect((await operators.ask('/api/nothing', { headers })).status).to.equal(404)
    const Cookie = await operators.cookieOf()
    expect((await operators.post('/api/nothing', {}, { Cookie })).status).to.equal(404)
  })

  const asked: Record<string, Asked & { readonly path: string; readonly status: number }> = {
    'a file that does not exist': { path: '/nothing.js', status: 404 },
    'no login': { path: '/api/me', status: 401 },
    'a foreign page': { path: '/api/login', method: 'POST', headers: { 'Sec-Fetch-Site': 'cross-site' }, status: 403 },
    'an unknown host': { path: '/', headers: { Host: 'evil.example' }, status: 421 },
    'a body that is no JSON': { path: '/api/login', method: 'POST', body: '{"token":', status: 400 },
    'a body without a token': { path: '/api/login', method: 'POST', body: { token: 1 }, status: 400 },
    'a body that is too large': { path: '/api/login', method: 'POST', body: { token: 'x'.repeat(9_000) }, status: 413 },
    'a path that cannot be decoded': { path: '/api/%E0%A4%A', status: 401 },
  }
  for (const [what, { path, status, ...given }] of Object.entries(asked))
    it(`console: answers ${what} with ${status}, an error as JSON, and headers that allow a browser nothing else`, async () => {
      const answer = await operators.ask(path, given)
      expect(answer.status).to.equal(status)
      expect(answer.body).to.have.all.keys('error')
      expect(String(answer.body?.error))
        .to.match(/^[A-Z].*\.$/)
        .and.not.match(/ at |\/src\//)
      expect(answer.headers).to.include({
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
      })
      expect(String(answer.headers['content-security-policy']).split(';').toSorted()).to.deep.equal([
        "base-uri 'none'",
        "connect-src 'self'",
        "default-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self' data:",
        "script-src 'self'",
        "style-src 'self'",
      ])
      if (path.startsWith('/api')) expect(answer.headers['cache-control']).to.equal('no-store')
      for (const name of ['x-powered-by', 'strict-transport-security', 'access-control-allow-origin', 'etag'])
        expect(answer.headers).to.not.have.property(name)
    })
})
