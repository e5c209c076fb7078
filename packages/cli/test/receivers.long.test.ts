import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '@cashflow/async'
import { type Interpreter, openSocket, REPOSITORY } from '@cashflow/testing'
import { checkReceiver, createSender, newSecret, type Sender, webhookHeaders } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { MISTAKES } from './receivers/broken.ts'
import {
  type Change,
  changed,
  documentedReceiver,
  interpreterOf,
  type Language,
  startReceiver,
  writeProgram,
} from './receivers/programs.ts'

const NAMES = { js: 'Node', python: 'Python', php: 'PHP' } as const
const VECTORS = join(REPOSITORY, 'docs/webhook-vectors.json')
const PAYMENT = '01a200e6-61da-7305-a53d-01a16fbc86b7'

/** Programs that print, for each vector, whether the receiver's own function accepts it. */
const VERIFYING = {
  python: `
import base64, json, sys
from receiver import keys_of, verify
for v in json.load(open(sys.argv[1]))["vectors"]:
    body = base64.b64decode(v["body_base64"])
    print(json.dumps(verify(body, v["headers"], keys_of(",".join(v["secrets"])), v["now"]) is not None))
`,
  php: `<?php
require 'cashflow.php';
foreach (json_decode(file_get_contents($argv[1]), true)['vectors'] as $v)
    echo json_encode(verify(base64_decode($v['body_base64']), $v['headers'], keysOf(implode(',', $v['secrets'])), $v['now']) !== null), "\\n";
`,
}

/** Makes each receiver fail for a payment, as if the database of the shop were away. */
const FAILING: Readonly<Record<Language, Change>> = {
  js: ['  console.log(type', "  throw new Error('hunter2')\n  console.log(type"],
  python: ['    print(', '    raise Exception("hunter2")\n    print('],
  php: ['    error_log(', "    throw new Exception('hunter2');\n    error_log("],
}

// Where an interpreter cannot be had, a line says that its tests are left out.
for (const language of ['js', 'python', 'php'] as const) {
  const interpreter = await interpreterOf(language)
  if (interpreter) describeReceiver(language, interpreter)
}

function describeReceiver(language: Language, interpreter: Interpreter): void {
  describe(`docs/integrating.md: the receiver in ${NAMES[language]}`, function () {
    this.timeout(120_000)
    const secret = newSecret()
    let sender: Sender
    before(() => {
      sender = createSender({ policy: { allowPrivate: true } })
    })
    after(() => sender?.close())

    /** The cases that are not passed, and what the check says of each. On a loaded machine a right receiver may be slow. */
    async function check(url: string) {
      const { cases } = await checkReceiver({ sender, url, secrets: [secret] })
      return cases.filter(
        ({ name, result, detail }) => name !== 'answer_time' && (detail !== null || result === 'failed'),
      )
    }

    const event = (type: string, sequence: number) => {
      const data = { id: PAYMENT, reference: 'ORDER-1002', sequence, status: sequence === 1 ? 'PENDING' : 'SUCCESS' }
      return {
        id: `evt_${PAYMENT}_${sequence}`,
        body: JSON.stringify({ type, timestamp: '2026-12-01T00:00:00Z', data }),
      }
    }
    const post = (url: string, sent: ReturnType<typeof event>, secrets = [secret]) =>
      fetch(url, { method: 'POST', body: sent.body, headers: webhookHeaders({ ...sent, secrets, now: new Date() }) })

    it(`receiver in ${NAMES[language]}: passes each check, and handles payments once and in order`, async () => {
      const receiver = await startReceiver(language, interpreter, { secrets: [newSecret(), secret] })
      try {
        expect(await check(receiver.url)).to.deep.equal([])
        const outcomes: (string | null)[] = []
        for (const [type, sequence] of [
          ['payment.succeeded', 2],
          ['payment.created', 1],
          ['payment.succeeded', 2],
        ] as const) {
          const answer = await post(receiver.url, event(type, sequence))
          expect(answer.status).to.equal(204)
          outcomes.push(answer.headers.get('webhook-outcome'))
        }
        expect(outcomes).to.deep.equal(['handled', 'outdated', 'duplicate'])
        const printed = receiver.lines.filter((line) => line.includes('ORDER-1002'))
        expect(printed).to.have.length(1)
        expect(printed[0]).to.match(/payment\.succeeded ORDER-1002 2 SUCCESS$/)
      } finally {
        await receiver.stop()
      }
    })

    if (language !== 'js')
      it(`receiver in ${NAMES[language]}: its own function accepts and refuses what docs/webhook-vectors.json says`, async () => {
        await using folder = await mkdtempDisposable(join(tmpdir(), 'cashflow-receiver-'))
        await writeProgram(folder.path, language, documentedReceiver(language))
        const main = join(folder.path, 'vectors')
        await writeFile(main, VERIFYING[language].trimStart())
        const { file, args, env } = interpreter
        const how = { cwd: folder.path, env: { ...process.env, PYTHONPATH: folder.path, ...env } }
        const { stdout } = await promisify(execFile)(file, [...args, main, VECTORS], how)
        const { vectors } = JSON.parse(readFileSync(VECTORS, 'utf8')) as {
          vectors: { name: string; accepted: boolean }[]
        }
        const accepted = stdout.trim().split('\n')
        expect(accepted.length).to.be.at.least(25)
        const shown = vectors.map(({ name }, index) => `${name}: ${accepted[index]}`)
        expect(shown).to.deep.equal(vectors.map((vector) => `${vector.name}: ${vector.accepted}`))
      })

    it(`receiver in ${NAMES[language]}: does not acknowledge an event whose handling fails, and stores nothing of it`, async () => {
      const code = changed(documentedReceiver(language), [FAILING[language]])
      const receiver = await startReceiver(language, interpreter, { code, secrets: [secret] })
      try {
        for (const _time of [1, 2]) {
          const answer = await post(receiver.url, event('payment.succeeded', 2))
          expect([answer.status, answer.headers.get('webhook-outcome') || null]).to.deep.equal([500, null])
        }
        expect((await post(receiver.url, event('webhook.check', 2))).headers.get('webhook-outcome')).to.equal('handled')
      } finally {
        await receiver.stop()
      }
    })

    if (language === 'js')
      it('receiver in Node: does not acknowledge an event, and stores nothing, if handle is async', async () => {
        const isAsync: Change = ['function handle(', 'async function handle(']
        const code = changed(documentedReceiver(language), [isAsync, [FAILING.js[0], `  await null\n${FAILING.js[1]}`]])
        const receiver = await startReceiver(language, interpreter, { code, secrets: [secret] })
        try {
          for (const _time of [1, 2]) {
            const answer = await post(receiver.url, event('webhook.check', 2))
            expect([answer.status, answer.headers.get('webhook-outcome')]).to.deep.equal([500, null])
          }
          expect(receiver.lines.join('\n')).to.include('TypeError: handle() is async, and nothing awaits it')
          // Its own rejection may end the process, before or after the answer.
          const failed = await post(receiver.url, event('payment.succeeded', 3)).catch(() => undefined)
          expect(failed?.status ?? 500).to.equal(500)
        } finally {
          await receiver.stop()
        }
      })

    if (language === 'php')
      it('receiver in PHP: answers 500 to a fatal error above its constants, which PHP shows', async () => {
        const code = changed(documentedReceiver(language), [['\nconst BODY', "\nrequire 'missing.php';\nconst BODY"]])
        const shown = { ...interpreter, args: [...interpreter.args, '-d', 'display_errors=1'] }
        const receiver = await startReceiver(language, shown, { code, secrets: [secret] })
        try {
          const answer = await post(receiver.url, event('payment.succeeded', 2))
          expect(answer.status).to.equal(500)
          expect(await answer.text()).to.include('missing.php')
        } finally {
          await receiver.stop()
        }
      })

    it(`receiver in ${NAMES[language]}: refuses a request without or with a wrong length, and one that ends early`, async () => {
      const receiver = await startReceiver(language, interpreter, { secrets: [secret] })
      try {
        const sent = event('payment.succeeded', 2)
        const headers = Object.entries(webhookHeaders({ ...sent, secrets: [secret], now: new Date() }))
        const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
        for (const [length, body] of [
          ['', ''],
          ['content-length: ²\r\n', ''],
          ['content-length: -1\r\n', ''],
          [`content-length: ${sent.body.length - 1}\r\n`, sent.body.slice(0, -1)],
        ]) {
          const socket = openSocket(receiver.url)
          socket.end(`POST /cashflow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${lines}${length}\r\n${body}`)
          const answer = Buffer.concat(await socket.toArray()).toString()
          expect(answer, length).to.not.match(/^HTTP\/1\.. 2/)
        }
        const socket = openSocket(receiver.url)
        socket.write(
          `POST /cashflow HTTP/1.1\r\nhost: a\r\n${lines}content-length: 999\r\n\r\n${sent.body.slice(0, 9)}`,
        )
        socket.destroy()
        expect((await post(receiver.url, sent)).headers.get('webhook-outcome')).to.equal('handled')
      } finally {
        await receiver.stop()
      }
    })

    it(`receiver in ${NAMES[language]}: accepts nothing where a secret is missing, empty or cut off`, async () => {
      for (const secrets of [[''], [secret, ''], [secret, 'whsec_'], [secret, secret.slice(0, 20)]]) {
        const sent = event('payment.succeeded', 2)
        const start = startReceiver(language, interpreter, { secrets })
        const receiver = await start.catch((error: Error) => error)
        if (receiver instanceof Error) {
          // The interpreter shows no secret: its message has the program's own lines.
          expect(receiver.message).to.include('did not start').and.not.include(secret.slice(6))
          continue
        }
        try {
          const now = new Date()
          const timestamp = Math.floor(now.getTime() / 1_000)
          const text = `${sent.id}.${timestamp}.${sent.body}`
          const signature = `v1,${createHmac('sha256', '').update(text).digest('base64')}`
          const headers = { ...webhookHeaders({ ...sent, secrets: [], now }), 'webhook-signature': signature }
          const answer = await fetch(receiver.url, { method: 'POST', body: sent.body, headers })
          expect(answer.status).to.be.at.least(400)
        } finally {
          await receiver.stop()
        }
      }
    })

    for (const { name, found, changes } of MISTAKES)
      it(`receiver in ${NAMES[language]}: a copy that ${name} is found`, async () => {
        const code = changed(documentedReceiver(language), defined(changes[language], 'changes'))
        const receiver = await startReceiver(language, interpreter, { code, secrets: [secret] })
        try {
          const failed = (await check(receiver.url)).filter(({ result }) => result === 'failed')
          expect(
            failed.map(({ name }) => name),
            receiver.lines.join('\n'),
          ).to.deep.equal(found)
        } finally {
          await receiver.stop()
        }
      })
  })
}
