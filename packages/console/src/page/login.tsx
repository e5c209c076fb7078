import { useSignal } from '@preact/signals'
import { sessionError, startSession } from './session.ts'

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

/** How to log in, and a field for a token. */
export function Login() {
  const isBusy = useSignal(false)
  const needsHttps = location.protocol === 'http:' && !LOOPBACK.includes(location.hostname)
  const logIn = async (event: SubmitEvent) => {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement)) return
    const typed = String(new FormData(event.currentTarget).get('token')).trim()
    isBusy.value = true
    // The whole address may have been pasted.
    await startSession(typed.split('#token=').at(-1))
    isBusy.value = false
  }
  return (
    <main class="login">
      <img src="/icon.svg" alt="" width={40} height={40} />
      <h1>Log in to Cashflow</h1>
      {needsHttps && (
        <p class="notice bad">
          <span>
            <strong>HTTPS is needed.</strong> This page came over plain HTTP from {location.hostname}. A login works
            over HTTPS, or on the machine itself at 127.0.0.1.
          </span>
        </p>
      )}
      <form onSubmit={logIn}>
        <label class="field">
          <span>Token</span>
          <input name="token" type="password" autoComplete="off" spellcheck={false} required disabled={needsHttps} />
        </label>
        {sessionError.value !== null && (
          <p class="notice bad" role="alert">
            {sessionError.value}
          </p>
        )}
        <button type="submit" class="primary" disabled={isBusy.value || needsHttps}>
          Log in
        </button>
      </form>
      <h2>Where to get a token</h2>
      <dl class="ways">
        <dt>On your machine</dt>
        <dd>
          <code>npm start</code> prints the address of the console with a token. Open that address.
        </dd>
        <dt>Anywhere else</dt>
        <dd>
          An operator with access to the database runs
          <pre>
            <code>npm run cashflow -- console token --name NAME --role operate</code>
          </pre>
          The token is good for 10 minutes and one login. The role <code>read</code> may look, and act on nothing.
        </dd>
      </dl>
    </main>
  )
}
