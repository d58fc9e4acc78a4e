/**
 * fast-check with a seed that stays, so that a property fails when the code has changed and not when the dice fall so.
 * `BELT_PROPERTY_SEED=$RANDOM npm test -- test/range` looks further.
 */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['BELT_PROPERTY_SEED'] ?? 1) });

export default fc;
