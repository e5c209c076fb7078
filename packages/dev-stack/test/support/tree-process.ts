import { spawn } from 'node:child_process'

/** A process with a child, which has a session and a child of its own. Prints a line every 10 ms. */
spawn('sh', ['-c', 'sleep 600 & wait'], { detached: true, stdio: 'ignore' })
setInterval(() => console.log('moving'), 10)
