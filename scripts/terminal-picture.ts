/**
 * Makes a terminal picture (SVG) of what stands on its standard input: `npm run --silent quickstart | bin/node scripts/terminal-picture.ts
 * > docs/quickstart.svg`. Lines of commands are set off; nothing of the text is changed.
 */
const COLUMN_WIDTH_PX = 7.8;
const LINE_HEIGHT_PX = 17;
const MARGIN_PX = 16;

let text = '';
for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk as string;
const lines = text.replace(/\n+$/, '').split('\n');
const width = Math.ceil(Math.max(...lines.map((line) => line.length)) * COLUMN_WIDTH_PX + 2 * MARGIN_PX);
const height = lines.length * LINE_HEIGHT_PX + 2 * MARGIN_PX;
const escape = (line: string): string => line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const colourOf = (line: string): string => (line.startsWith('$ ') ? '#8bd5ca' : /^\s*\(/.test(line) ? '#7f849c' : /^belt: warning/.test(line) ? '#eed49f' : '#cad3f5');

console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`);
console.log(`<rect width="100%" height="100%" rx="8" fill="#1e2030"/>`);
console.log(`<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" xml:space="preserve">`);
lines.forEach((line, n) => {
  const y = MARGIN_PX + (n + 1) * LINE_HEIGHT_PX - 4;
  if (line !== '') console.log(`<text x="${MARGIN_PX}" y="${y}" fill="${colourOf(line)}" style="white-space:pre">${escape(line)}</text>`);
});
console.log('</g>\n</svg>');
