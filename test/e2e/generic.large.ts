/** Hosts that exist already become a swarm of real engines. */
import './generic.e2e.ts';
