// Drawing: the world on the GPU, pictures of it, and what of them the canvas shows.

const MODES = { render: 0, target: 1, difference: 2 };
const FACE_CORNERS = [
  [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]],
  [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]],
  [[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 1, 0]],
  [[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1]],
  [[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
  [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 0, 0]],
];
const SURFACE_WORDS = 8; // of the shader's Surface: colour, first texel, tile width and height, padding
const ROW_ALIGNMENT = 256; // bytes

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function unpacked(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** World positions of all faces' corners, as the shader takes them. */
function cornerPositions(cells, surfaces, world) {
  const [sx, , sz] = world.gridSize;
  const center = [sx / 2, 0, sz / 2];
  const positions = new Float32Array(surfaces.length * 12);
  for (let face = 0, at = 0; face < surfaces.length; face++) {
    for (const corner of FACE_CORNERS[surfaces[face] % 6]) {
      for (let axis = 0; axis < 3; axis++) {
        positions[at++] = (cells[3 * face + axis] + corner[axis] - center[axis]) * world.worldScale;
      }
    }
  }
  return positions;
}

function triangleIndices(faces) {
  const indices = new Uint32Array(faces * 6);
  for (let face = 0; face < faces; face++) {
    indices.set([0, 1, 2, 0, 2, 3].map((corner) => 4 * face + corner), 6 * face);
  }
  return indices;
}

class Drawing {
  /** Opens WebGPU and uploads the world; throws an Error whose message a user can act on. */
  static async open(canvas, world) {
    if (!navigator.gpu) {
      throw new Error("This browser has no WebGPU.");
    }
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) {
      throw new Error("This browser has WebGPU, but found no graphics adapter for it.");
    }
    const { maxTextureDimension2D, maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
    const device = await adapter.requestDevice({
      requiredLimits: { maxTextureDimension2D, maxBufferSize, maxStorageBufferBindingSize },
    });
    const cells = new Int32Array(await unpacked(world.cells));
    const after = new Uint32Array(await unpacked(world.surfaceOfFace));
    const before = world.surfaceOfFaceBefore ? new Uint32Array(await unpacked(world.surfaceOfFaceBefore)) : null;
    const drawing = new Drawing(canvas, world, device, cells, after, before);
    // Where the light is baked each face is a surface of its own.
    drawing.materialOf = world.materialOfSurface ? new Int32Array(await unpacked(world.materialOfSurface)) : null;
    return drawing;
  }

  constructor(canvas, world, device, cells, after, before) {
    this.canvas = canvas;
    this.world = world;
    this.device = device;
    this.lost = device.lost;
    this.format = navigator.gpu.getPreferredCanvasFormat();
    this.context = canvas.getContext("webgpu");
    this.context.configure({ device, format: this.format, alphaMode: "opaque" });
    this.indexCount = after.length * 6;
    this.frame = this.buffer(new Float32Array(32), GPUBufferUsage.UNIFORM);
    this.show = this.buffer(new Uint32Array(2), GPUBufferUsage.UNIFORM);
    this.positions = this.buffer(cornerPositions(cells, after, world), GPUBufferUsage.VERTEX);
    this.indices = this.buffer(triangleIndices(after.length), GPUBufferUsage.INDEX);
    this.surfaces = this.buffer(bytesOf(world.surfaces), GPUBufferUsage.STORAGE);
    const texels = this.buffer(bytesOf(world.texels), GPUBufferUsage.STORAGE);
    this.terrain = this.terrainPipeline();
    this.compose = this.composePipeline();
    const bind = (faces) =>
      this.bindings(this.terrain, [this.frame, this.buffer(faces, GPUBufferUsage.STORAGE), this.surfaces, texels]
        .map((buffer) => ({ buffer })));
    this.after = bind(after);
    this.before = before ? bind(before) : null;
    this.blank = this.texture(1, 1, GPUTextureUsage.TEXTURE_BINDING);
  }

  buffer(data, usage) {
    const size = Math.max(32, Math.ceil(data.byteLength / 4) * 4);
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    if (size > (usage === GPUBufferUsage.STORAGE ? maxStorageBufferBindingSize : maxBufferSize)) {
      throw new Error("This world is too large for the graphics device of this browser.");
    }
    const buffer = this.device.createBuffer({ size, usage: usage | GPUBufferUsage.COPY_DST });
    this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  texture(width, height, usage, format = "rgba8unorm") {
    return this.device.createTexture({ size: [width, height], format, usage });
  }

  bindings(pipeline, resources) {
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    return this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  }

  terrainPipeline() {
    const module = this.device.createShaderModule({ code: this.world.terrainShader });
    const position = { format: "float32x3", offset: 0, shaderLocation: 0 };
    return this.device.createRenderPipeline({
      layout: "auto",
      vertex: { module, entryPoint: "vertex_main", buffers: [{ arrayStride: 12, attributes: [position] }] },
      primitive: { topology: "triangle-list", frontFace: "ccw", cullMode: "back" },
      depthStencil: { format: "depth32float", depthWriteEnabled: true, depthCompare: "less" },
      fragment: { module, entryPoint: "fragment_main", targets: [{ format: "rgba8unorm" }] },
    });
  }

  composePipeline() {
    const module = this.device.createShaderModule({ code: this.world.composeShader });
    return this.device.createRenderPipeline({
      layout: "auto",
      vertex: { module, entryPoint: "vertex_main" },
      fragment: { module, entryPoint: "fragment_main", targets: [{ format: this.format }] },
    });
  }

  /** The largest side that a picture may have. */
  get largest() {
    return this.device.limits.maxTextureDimension2D;
  }

  resize(width, height) {
    if (this.canvas.width === width && this.canvas.height === height && this.drawn) {
      return;
    }
    for (const old of [this.drawn, this.drawnBefore, this.depth]) {
      old?.destroy();
    }
    this.canvas.width = width;
    this.canvas.height = height;
    const usage = GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_SRC;
    this.drawn = this.texture(width, height, usage);
    this.drawnBefore = this.before ? this.texture(width, height, usage) : null;
    this.depth = this.texture(width, height, GPUTextureUsage.RENDER_ATTACHMENT, "depth32float");
  }

  /** Dims every material but one; null shows all as they are. */
  highlight(material) {
    const bytes = bytesOf(this.world.surfaces);
    const colors = new Float32Array(bytes.buffer);
    const words = new Uint32Array(bytes.buffer);
    for (let at = 0; at < colors.length && material !== null; at += SURFACE_WORDS) {
      const surface = at / SURFACE_WORDS;
      const own = this.materialOf ? this.materialOf[surface] : Math.floor(surface / 6);
      if (own !== material) {
        const gray = 0.12 + 0.3 * (0.3 * colors[at] + 0.6 * colors[at + 1] + 0.1 * colors[at + 2]);
        colors.fill(gray, at, at + 3);
        words[at + 4] = 0; // no tile
      }
    }
    this.device.queue.writeBuffer(this.surfaces, 0, bytes);
  }

  /** Decodes a target picture, a PNG in base64. */
  async target(png) {
    const image = await createImageBitmap(new Blob([bytesOf(png)], { type: "image/png" }), {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
    const texture = this.texture(image.width, image.height, usage);
    this.device.queue.copyExternalImageToTexture({ source: image }, { texture }, [image.width, image.height]);
    return texture;
  }

  /** Draws the world and shows it: `mode` of MODES, columns left of `split` (0…1) as they were before. */
  draw(viewProj, { mode, split, target }) {
    this.device.queue.writeBuffer(this.frame, 0, new Float32Array([...viewProj, ...this.world.light]));
    const show = new DataView(new ArrayBuffer(8));
    show.setUint32(0, MODES[mode], true);
    show.setFloat32(4, split * this.canvas.width, true);
    this.device.queue.writeBuffer(this.show, 0, show.buffer);
    const encoder = this.device.createCommandEncoder();
    this.drawWorld(encoder, this.after, this.drawn);
    if (this.before && split > 0) {
      this.drawWorld(encoder, this.before, this.drawnBefore);
    }
    const wanted = target ?? this.blank;
    const pictures = [this.drawn, this.drawnBefore ?? wanted, wanted].map((texture) => texture.createView());
    const pass = encoder.beginRenderPass({
      colorAttachments: [{ view: this.context.getCurrentTexture().createView(), loadOp: "clear", storeOp: "store" }],
    });
    pass.setPipeline(this.compose);
    pass.setBindGroup(0, this.bindings(this.compose, [{ buffer: this.show }, ...pictures]));
    pass.draw(3);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
  }

  drawWorld(encoder, bindings, texture) {
    const [r, g, b] = this.world.background;
    const pass = encoder.beginRenderPass({
      colorAttachments: [
        { view: texture.createView(), loadOp: "clear", storeOp: "store", clearValue: { r, g, b, a: 1 } },
      ],
      depthStencilAttachment: {
        view: this.depth.createView(),
        depthLoadOp: "clear",
        depthStoreOp: "discard",
        depthClearValue: 1,
      },
    });
    if (this.indexCount) {
      pass.setPipeline(this.terrain);
      pass.setBindGroup(0, bindings);
      pass.setVertexBuffer(0, this.positions);
      pass.setIndexBuffer(this.indices, "uint32");
      pass.drawIndexed(this.indexCount);
    }
    pass.end();
  }

  /** Reads the last picture of the world back: RGBA, row 0 on top. */
  async pixels() {
    const { width, height } = this.canvas;
    const bytesPerRow = Math.ceil((4 * width) / ROW_ALIGNMENT) * ROW_ALIGNMENT;
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
    const buffer = this.device.createBuffer({ size: bytesPerRow * height, usage });
    const encoder = this.device.createCommandEncoder();
    encoder.copyTextureToBuffer({ texture: this.drawn }, { buffer, bytesPerRow }, [width, height]);
    this.device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    const padded = new Uint8Array(buffer.getMappedRange());
    const data = new Uint8ClampedArray(4 * width * height);
    for (let row = 0; row < height; row++) {
      data.set(padded.subarray(row * bytesPerRow, row * bytesPerRow + 4 * width), 4 * width * row);
    }
    buffer.destroy();
    return new ImageData(data, width, height);
  }
}
