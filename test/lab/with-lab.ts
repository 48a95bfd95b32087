import { Lab } from '../../src/lab/lab';
import type { LabOptions } from '../../src/lab/topology';

/** Runs a test body in a lab of its own, and destroys the lab however the body ends. */
export async function withLab<T>(options: LabOptions, body: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.create(options);
  try {
    return await body(lab);
  } finally {
    await lab.destroy();
  }
}
