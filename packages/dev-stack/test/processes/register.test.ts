import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { identify, type ProcessIdentity } from '../../src/processes/process-table.ts'
import { openRegister, stopLeftovers } from '../../src/processes/register.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('register of processes', () => {
  const folder = temporaryFolder()
  const children: ChildProcess[] = []
  after(() => {
    for (const child of children) child.kill('SIGKILL')
    folder.remove()
  })

  async function start(command: string, ...args: string[]): Promise<{ child: ChildProcess; pid: number }> {
    const child = spawn(command, args, { detached: true, stdio: 'ignore' })
    children.push(child)
    await once(child, 'spawn')
    return { child, pid: child.pid as number }
  }

  function identified(child: ChildProcess): ProcessIdentity {
    const identity = identify(child.pid as number)
    if (!identity) throw new Error('it has ended')
    return identity
  }

  it('finds processes of a killed stack in the register at the next run', async () => {
    const { child, pid } = await start('sleep', '60')
    const file = join(folder.path, 'found.json')
    openRegister(file).add('worker', pid)
    const next = openRegister(file)
    expect(next.running()).to.deep.equal([{ role: 'worker', ...identify(pid) }])
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(next.running()).to.deep.equal([])
  })

  it('stops processes of a killed stack at the next run: services first, the database last', async () => {
    const diary = join(folder.path, 'diary')
    const left = await Promise.all(
      ['postgres', 'rabbitmq', 'worker'].map(async (role) => {
        const script = `trap 'echo ${role} >> "$DIARY"; exit' INT TERM; echo listening; while :; do sleep 0.01; done`
        const child = spawn('sh', ['-c', script], { detached: true, env: { ...process.env, DIARY: diary } })
        children.push(child)
        await once(child.stdout, 'data')
        return { role, ...identified(child) }
      }),
    )
    await stopLeftovers(left, () => {})
    expect(readFileSync(diary, 'utf8')).to.equal('worker\nrabbitmq\npostgres\n')
  })

  it('kills processes of a killed stack that do not stop in time', async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo deaf; exec sleep 60'], { detached: true })
    children.push(child)
    await once(child.stdout, 'data')
    const ended = once(child, 'exit')
    await stopLeftovers([{ role: 'worker', ...identified(child) }], () => {}, 300)
    expect(await ended).to.deep.equal([null, 'SIGKILL'])
  })

  it('stops no other process that has the pid of a process of a killed stack', async () => {
    const { child, pid } = await start('sleep', '60')
    await stopLeftovers([{ role: 'postgres', pid, startedAt: 'another time' }], () => {})
    expect(child.exitCode ?? child.signalCode).to.equal(null)
  })
})
