import { render } from 'preact'

render(<h1>Cashflow</h1>, document.body)
