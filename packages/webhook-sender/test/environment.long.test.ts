import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { answer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'

describe('the environment of a sender', () => {
  it('sender: goes through no proxy that the environment names', async () => {
    const [receiver, proxy] = [await startScriptedServer(), await startScriptedServer()]
    receiver.script = answer(204)
    const index = join(import.meta.dirname, '../src/index.ts')
    const program = `
      import { createSender } from ${JSON.stringify(index)}
      const sender = createSender({ policy: { allowPrivate: true } })
      console.log(JSON.stringify(await sender.post(${JSON.stringify(receiver.url)}, {}, '{}')))
      await sender.close()`
    const { origin } = new URL(proxy.url)
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy']
    const env = { ...process.env, NODE_USE_ENV_PROXY: '1', ...Object.fromEntries(names.map((name) => [name, origin])) }
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env })
    expect(JSON.parse(stdout)).to.include({ status: 204 })
    expect([receiver.seen.length, proxy.seen.length]).to.deep.equal([1, 0])
    await receiver.close()
    await proxy.close()
  })
})
