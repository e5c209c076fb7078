import { render } from 'preact'
import { App } from './app.tsx'
import { startSession, takeToken } from './session.ts'

// First: the address bar must not keep a token.
const token = takeToken()
void startSession(token)
window.addEventListener('hashchange', () => {
  const next = takeToken()
  if (next) void startSession(next)
})
render(<App />, document.body)
