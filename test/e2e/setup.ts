/** Before the first suite: the machine image, which takes a minute where it is not there yet, so that no suite's time limit pays for it. */
import { connect } from '../../drivers/docker/driver.ts';
import { ensureImage } from '../../drivers/docker/image.ts';
import { OPTIONS, skipReason } from './stage.ts';

export default async function setup(): Promise<void> {
  if (skipReason !== null) return;
  const started = Date.now();
  // From packages: a registry behind a silent firewall is asked for minutes.
  const tag = await ensureImage(connect(OPTIONS), { ...OPTIONS, image_from: 'debootstrap' }, AbortSignal.timeout(280_000));
  console.log(`machine image ${tag} is there after ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

if (import.meta.main) await setup();
