import { type ChildProcess, spawn } from 'node:child_process'

/**
 * A shell that outlives us by a moment: whatever ends this process, even SIGKILL, closes the shell's input, and then it
 * kills the process groups that it was told of and not told to forget.
 */
const SCRIPT = `
groups=' '
while read -r verb group; do
  case $verb in
    watch) groups="$groups$group " ;;
    forget) groups="\${groups%% "$group" *} \${groups#* "$group" }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done`

let guard: ChildProcess | undefined

/** Kills the process group if this process ends before `forget` is called. */
export function dieWithUs(group: number): { forget(): void } {
  guard ??= startGuard()
  tell(`watch ${group}`)
  return { forget: () => tell(`forget ${group}`) }
}

function tell(line: string): void {
  guard?.stdin?.write(`${line}\n`)
}

function startGuard(): ChildProcess {
  const shell = spawn('sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  // It must not keep us alive, nor end us if somebody kills it.
  shell.unref()
  if (shell.stdin && 'unref' in shell.stdin) (shell.stdin as unknown as { unref(): void }).unref()
  shell.stdin?.on('error', () => {})
  shell.once('exit', () => {
    guard = undefined
  })
  return shell
}
