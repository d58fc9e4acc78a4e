/** node-forge's parts, imported one by one so that its RSA, PKCS and TLS code stays out of the agent's bundle. */
declare module 'node-forge/lib/asn1.js' {
  import forge from 'node-forge';
  const asn1: typeof forge.asn1;
  export default asn1;
}
declare module 'node-forge/lib/oids.js' {
  const oids: { [name: string]: string };
  export default { pki: { oids } };
}
