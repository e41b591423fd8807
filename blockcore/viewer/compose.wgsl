// Puts what was drawn on the canvas: the picture, its target, what differs, or two pictures side by side.

struct Show {
    mode: u32,     // 0 the picture, 1 the target, 2 what differs
    split: f32,    // columns left of this show `before`, at any mode but 2
}

@group(0) @binding(0) var<uniform> show: Show;
@group(0) @binding(1) var drawn: texture_2d<f32>;
@group(0) @binding(2) var before: texture_2d<f32>;
@group(0) @binding(3) var wanted: texture_2d<f32>;

@vertex
fn vertex_main(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return vec4f(4.0 * f32(index & 1u) - 1.0, 4.0 * f32(index >> 1u) - 1.0, 0.0, 1.0);
}

fn difference(pixel: vec2u) -> vec3f {
    let ours = textureLoad(drawn, pixel, 0).rgb;
    let off = abs(ours - textureLoad(wanted, pixel, 0).rgb);
    let most = max(off.r, max(off.g, off.b));
    if most * 255.0 < 1.5 {
        return vec3f(0.18 * dot(ours, vec3f(0.3, 0.6, 0.1)));  // equal: a shadow of the picture
    }
    return mix(vec3f(0.85, 0.35, 0.1), vec3f(1.0, 0.9, 0.4), sqrt(most));
}

@fragment
fn fragment_main(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let pixel = vec2u(position.xy);
    if show.mode == 2u {
        return vec4f(difference(pixel), 1.0);
    }
    if position.x < show.split {
        return vec4f(textureLoad(before, pixel, 0).rgb, 1.0);
    }
    if show.mode == 1u {
        return vec4f(textureLoad(wanted, pixel, 0).rgb, 1.0);
    }
    return vec4f(textureLoad(drawn, pixel, 0).rgb, 1.0);
}
