import { useSignal } from '@preact/signals'
import type { FaultKind, FaultPart, SandboxFault, SandboxFaultBody } from '../../answers.ts'
import { post } from '../api.ts'
import { Pill } from '../parts/pill.tsx'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import type { Do, SandboxProps } from './props.ts'

const PARTS: readonly { readonly part: FaultPart; readonly name: string; readonly about: string }[] = [
  { part: 'worker', name: 'Worker', about: 'One of them. Another one takes its payments over.' },
  { part: 'relay', name: 'Relay', about: 'One of them. Another one publishes its messages.' },
  { part: 'rabbitmq', name: 'RabbitMQ', about: 'Messages wait in the outbox until it is back.' },
  { part: 'postgresql', name: 'PostgreSQL', about: 'The API answers 503 until it is back.' },
]

const SECONDS = [5, 15, 30, 60] as const

/** Kills or freezes a part of the stack. Each fault ends by itself. */
export function Faults({ sandbox: { kinds, faults }, change }: SandboxProps) {
  const seconds = useSignal<number>(15)
  return (
    <section class="card" aria-labelledby="faults">
      <h2 id="faults">Break something</h2>
      <p class="muted">
        A killed process is started again. A frozen one goes on by itself, also if <code>npm start</code> dies.
      </p>
      <label class="field freeze-time">
        <span>Freeze for</span>
        <select
          value={seconds.value}
          onChange={(event) => {
            seconds.value = Number(event.currentTarget.value)
          }}
        >
          {SECONDS.map((some) => (
            <option key={some} value={some}>
              {some} seconds
            </option>
          ))}
        </select>
      </label>
      <ul class="faults">
        {PARTS.map(({ part, name, about }) => (
          <li key={part}>
            <div>
              <h3>{name}</h3>
              <p class="muted">{about}</p>
            </div>
            <InProgress fault={faults.find(({ kind }) => kind.endsWith(`-${part}`))} />
            <Break name={name} part={part} kinds={kinds} seconds={seconds.value} change={change} />
          </li>
        ))}
      </ul>
    </section>
  )
}

function InProgress({ fault }: { readonly fault: SandboxFault | undefined }) {
  if (!fault) return null
  return (
    <p>
      <Pill tone="bad">{fault.kind.startsWith('kill') ? 'Killed' : 'Frozen'}</Pill>{' '}
      {fault.ends_at === null ? (
        'starting again'
      ) : (
        <>
          ends <Ago at={fault.ends_at} />
        </>
      )}
    </p>
  )
}

interface BreakProps {
  readonly name: string
  readonly part: FaultPart
  readonly kinds: readonly FaultKind[]
  readonly seconds: number
  readonly change: Do
}

function Break({ name, part, kinds, seconds, change }: BreakProps) {
  const breakIt = (body: SandboxFaultBody) => change(() => post('/api/sandbox/faults', body))
  const [kill, freeze] = [`kill-${part}`, `freeze-${part}`] as const
  if (!kinds.includes(kill) && !kinds.includes(freeze)) return <p class="muted">not run by npm start</p>
  if (!mayOperate()) return null
  return (
    <div class="fault-buttons">
      {kinds.includes(kill) && (
        <button type="button" class="small" onClick={() => breakIt({ kind: kill })}>
          Kill<span class="visually-hidden"> {name}</span>
        </button>
      )}
      {kinds.includes(freeze) && (
        <button type="button" class="small" onClick={() => breakIt({ kind: freeze, seconds })}>
          Freeze<span class="visually-hidden"> {name}</span>
        </button>
      )}
    </div>
  )
}
