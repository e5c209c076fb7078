import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { Webhook } from 'standardwebhooks'
import { signatures } from '../src/index.ts'
import { type WebhookVector, webhookVectors } from '../src/vectors/vectors.ts'

describe('docs/webhook-vectors.json', () => {
  it('webhook vectors: are those that node packages/webhook-sender/src/vectors/generate.ts makes', async () => {
    const text = await readFile(join(REPOSITORY, 'docs/webhook-vectors.json'), 'utf8')
    expect(text).to.equal(`${JSON.stringify(webhookVectors(), null, 2)}\n`)
  })

  it('webhook vectors: have names of their own, and both outcomes', () => {
    const { vectors } = webhookVectors()
    expect(new Set(vectors.map(({ name }) => name)).size).to.equal(vectors.length)
    for (const accepted of [true, false])
      expect(vectors.filter((vector) => vector.accepted === accepted).length).to.be.at.least(15)
  })

  it('webhook vectors: the official library accepts and refuses the same, with any of the secrets', async () => {
    const { vectors } = webhookVectors()
    const now = Date.now
    try {
      for (const vector of vectors) {
        Date.now = () => vector.now * 1_000
        expect(isAccepted(vector), vector.name).to.equal(vector.accepted)
      }
    } finally {
      Date.now = now
    }
  })

  it('docs/integrating.md: the request that it shows is signed with the secret that it names', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/integrating.md'), 'utf8')
    const [, secret = ''] = /signed with the secret `(whsec_[^`]+)`/.exec(page) ?? []
    const [, head = '', body = ''] = /^```http\n(.*?)\n\n(.*?)\n```$/ms.exec(page) ?? []
    const headers = Object.fromEntries(
      [...head.matchAll(/^([a-z-]+): (.+)$/gm)].map(([, name, value]) => [name, value]),
    )
    const timestampS = Number(headers['webhook-timestamp'])
    const signed = { id: String(headers['webhook-id']), timestampS, body, secrets: [secret] }
    expect(body).to.contain('"type":"payment.succeeded"')
    expect(headers['webhook-signature']).to.equal(signatures(signed))
  })
})

/** The library takes one secret, and the time of the machine. */
function isAccepted({ secrets, headers, body_base64 }: WebhookVector): boolean {
  return secrets.some((secret) => {
    try {
      new Webhook(secret).verify(Buffer.from(body_base64, 'base64'), { ...headers })
      return true
    } catch {
      return false
    }
  })
}
