// Navigation: a free camera that orbits a point or flies, and its matrix.

const UP_LIMIT = 1.55; // radians; at the pole there is no up

const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

class FreeCamera {
  constructor(world) {
    const [low, high] = world.bounds;
    this.block = world.worldScale;
    this.radius = Math.hypot(...add(high, low, -1)) / 2 + this.block;
    this.center = add(low, add(high, low, -1), 0.5);
    this.fov = Math.PI / 3;
    this.fit();
  }

  /** Looks at the whole world from a corner. */
  fit() {
    this.yaw = 0.75;
    this.pitch = -0.5;
    this.distance = 2 * this.radius;
    this.position = add(this.center, this.forward, -this.distance);
  }

  /** Takes the place of a captured camera, given by its column-major matrices. */
  take(view, proj) {
    const forward = [-view[2], -view[6], -view[10]];
    const translation = [view[12], view[13], view[14]];
    this.position = [0, 1, 2].map((axis) => -dot(view.slice(4 * axis, 4 * axis + 3), translation));
    this.yaw = Math.atan2(-forward[0], -forward[2]);
    this.pitch = clamp(Math.asin(clamp(forward[1], -1, 1)), -UP_LIMIT, UP_LIMIT);
    this.fov = proj[11] === 0 ? Math.PI / 3 : clamp(2 * Math.atan(1 / Math.abs(proj[5])), 0.1, 2.8);
    this.distance = Math.max(4 * this.block, dot(add(this.center, this.position, -1), forward));
  }

  get forward() {
    const flat = Math.cos(this.pitch);
    return [-Math.sin(this.yaw) * flat, Math.sin(this.pitch), -Math.cos(this.yaw) * flat];
  }

  get right() {
    return [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
  }

  get up() {
    const [f, r] = [this.forward, this.right];
    return [r[1] * f[2] - r[2] * f[1], r[2] * f[0] - r[0] * f[2], r[0] * f[1] - r[1] * f[0]];
  }

  /** Turns by radians: the head when flying, around the point looked at when orbiting. */
  turn(yaw, pitch, orbiting) {
    const pivot = add(this.position, this.forward, this.distance);
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -UP_LIMIT, UP_LIMIT);
    if (orbiting) {
      this.position = add(pivot, this.forward, -this.distance);
    }
  }

  /** Moves along right, up and forward, in units of how far away things are. */
  move(right, up, forward) {
    const reach = Math.max(this.distance, 2 * this.block);
    let position = add(this.position, this.right, right * reach);
    position = add(position, this.up, up * reach);
    this.position = add(position, this.forward, forward * reach);
  }

  /** Comes nearer to the point looked at, or goes away from it. */
  zoom(factor) {
    const distance = clamp(this.distance * factor, this.block / 4, 20 * this.radius);
    this.position = add(this.position, this.forward, this.distance - distance);
    this.distance = distance;
  }

  /** The column-major matrix from world to clip space, for a picture of this aspect. */
  matrix(aspect) {
    const far = 2 * this.radius + Math.hypot(...add(this.position, this.center, -1)) + this.block;
    const near = Math.max(this.block / 50, far / 1e5);
    const f = 1 / Math.tan(this.fov / 2);
    const rows = [this.right, this.up, this.forward.map((value) => -value)];
    const view = rows.map((row) => [...row, -dot(row, this.position)]);
    const clip = [
      view[0].map((value) => (value * f) / aspect),
      view[1].map((value) => value * f),
      view[2].map((value, i) => (value * far) / (near - far) + (i === 3 ? (near * far) / (near - far) : 0)),
      view[2].map((value) => -value),
    ];
    return Float32Array.from({ length: 16 }, (_, i) => clip[i % 4][Math.floor(i / 4)]);
  }
}
