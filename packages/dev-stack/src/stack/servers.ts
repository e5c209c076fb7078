import { allOrNone } from './all-or-none.ts'
import { type Broker, startBroker } from './broker.ts'
import { type Database, startDatabase } from './database.ts'
import { migrate } from './migrate.ts'
import type { StackContext } from './stack.ts'

export type Servers = {
  urls: { database_url: string; rabbitmq_url: string; rabbitmq_management_url: string }
  /** Of our own servers, where they are running. */
  pids(): { postgres?: number; rabbitmq?: number }
  stop(): Promise<void>
}

/** The database, migrated, and the broker: whichever were given from outside, and our own for the others. */
export async function startServers(context: StackContext): Promise<Servers> {
  const started: { database?: Database; broker?: Broker } = {}
  const stop = async () => {
    await started.broker?.stop()
    await started.database?.stop()
  }
  try {
    await allOrNone(
      [
        async (signal) => {
          started.database = await startDatabase(context, signal)
          await migrate(context, started.database.url, signal)
        },
        async (signal) => {
          started.broker = await startBroker(context, signal)
        },
      ],
      context.signal,
    )
    const { database, broker } = started as Required<typeof started>
    return {
      urls: { database_url: database.url, rabbitmq_url: broker.url, rabbitmq_management_url: broker.managementUrl },
      pids: () => {
        const [postgres, rabbitmq] = [database.pid(), broker.pid()]
        return { ...(postgres && { postgres }), ...(rabbitmq && { rabbitmq }) }
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
