import { join } from 'node:path'
import { PgBoss } from 'pg-boss'
import type { Peer } from '../peer.ts'

export const QUEUE = 'messages'

export const pgBoss: Peer = {
  name: 'pg-boss',
  program: join(import.meta.dirname, 'main.ts'),
  async install(databaseUrl) {
    const boss = new PgBoss({ connectionString: databaseUrl, supervise: false, schedule: false })
    await boss.start()
    await boss.createQueue(QUEUE)
    return {
      async enqueue(client, messages) {
        const jobs = messages.map((message) => ({ id: message.messageId, data: message }))
        await boss.insert(QUEUE, jobs, { db: { executeSql: (text, values) => client.query(text, values) } })
      },
      close: () => boss.stop(),
    }
  },
}
