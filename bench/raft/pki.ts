/** Throw-away certificates for the benchmark, made with the openssl command line, which etcd can read too. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes `ca.crt` and, for each name, `<name>.crt` and `<name>.key` (P-256) in `folder`. Every certificate is good for client and server, on any 127.0.0.x. */
export function makePki(folder: string, names: readonly string[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/O=bench/CN=bench CA', '-keyout', 'ca.key', '-out', 'ca.crt');
  names.forEach((name, i) => {
    const role = name.startsWith('m') ? 'manager' : 'operator';
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=URI:belt://bench/${role}/${name},DNS:localhost,${Array.from({ length: 16 }, (_, ip) => `IP:127.0.0.${ip + 1}`).join(',')}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/O=bench/OU=${role}/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-set_serial', String(i + 2), '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.crt`);
  });
}
