import type { SandboxRun, SandboxRunBody } from '../../answers.ts'
import { post, remove } from '../api.ts'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import { countText, groupDigits } from '../text/digits.ts'
import type { Do, SandboxProps } from './props.ts'

/** Starts and stops a run of payments. */
export function MakePayments({ sandbox, change }: SandboxProps) {
  const { run, obstacle } = sandbox
  return (
    <section class="card" aria-labelledby="make-payments">
      <h2 id="make-payments">Make payments</h2>
      {obstacle !== null && <p class="notice bad">{obstacle}</p>}
      {run ? <Running run={run} change={change} /> : <RunForm sandbox={sandbox} change={change} />}
    </section>
  )
}

function Running({ run, change }: { readonly run: SandboxRun; readonly change: Do }) {
  const { rate, amount_min: min, amount_max: max, currency, simulate, sent, in_flight: inFlight } = run
  const amounts = min === max ? groupDigits(min) : `${groupDigits(min)} to ${groupDigits(max)}`
  return (
    <>
      <p>
        {countText(rate)} a second, {amounts} {currency}
        {simulate !== null && (
          <>
            , with <code>simulate: {simulate}</code>
          </>
        )}
        . It ends <Ago at={run.ends_at} />.
      </p>
      <p class="muted">
        {countText(sent)} sent, {countText(inFlight)} without an answer yet
      </p>
      {mayOperate() && (
        <button type="button" onClick={() => change(() => remove('/api/sandbox/payments'))}>
          Stop
        </button>
      )}
    </>
  )
}

function RunForm({ sandbox: { simulations, obstacle }, change }: SandboxProps) {
  const start = (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const fields = new FormData(event.currentTarget)
    const text = (name: string) => String(fields.get(name) ?? '').trim()
    const body: SandboxRunBody = {
      rate: Number(text('rate')),
      amount_min: text('amount_min'),
      amount_max: text('amount_max'),
      currency: text('currency').toUpperCase(),
      simulate: text('simulate') || null,
      seconds: Number(text('seconds')),
    }
    void change(() => post('/api/sandbox/payments', body))
  }
  return (
    <form class="sandbox-form" onSubmit={start}>
      <label class="field">
        <span>Payments a second</span>
        <input type="number" name="rate" min={1} max={200} defaultValue="20" required />
      </label>
      <label class="field">
        <span>For seconds</span>
        <input type="number" name="seconds" min={1} max={600} defaultValue="60" required />
      </label>
      <label class="field">
        <span>Amount from</span>
        <input name="amount_min" defaultValue="1.00" pattern="\d+(\.\d+)?" title="A number such as 100.50" required />
      </label>
      <label class="field">
        <span>Amount to</span>
        <input name="amount_max" defaultValue="250.00" pattern="\d+(\.\d+)?" title="A number such as 100.50" required />
      </label>
      <label class="field">
        <span>Currency</span>
        <input name="currency" defaultValue="USD" pattern="[A-Za-z]{3}" title="Three letters, such as USD" required />
      </label>
      <label class="field">
        <span>Simulate</span>
        <select name="simulate">
          <option value="">Nothing: as the provider decides</option>
          {simulations.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="primary" disabled={!mayOperate() || obstacle !== null}>
        Make payments
      </button>
      {!mayOperate() && <p class="hint">Your login may only read.</p>}
    </form>
  )
}
