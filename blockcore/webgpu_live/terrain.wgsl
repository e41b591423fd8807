// The terrain shader: block faces in the light of one sun and a hemisphere.
// Needs no feature and no limit beyond what every WebGPU implementation has.

struct Frame {
    view_proj: mat4x4f,      // world to clip space
    sun_direction: vec3f,    // towards the sun, unit length
    ambient_strength: f32,
    sun_color: vec3f,
    ground_color: vec3f,
    sky_color: vec3f,
}

// How one material looks from one side.
struct Surface {
    color: vec3f,            // palette colour
    first_texel: u32,        // where its tile starts in `texels`
    tile_size: vec2u,        // width and height of its tile; 0 where it has none
}

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> faces: array<u32>;        // surface index (6 * material + direction) of a face
@group(0) @binding(2) var<storage, read> surfaces: array<Surface>;
@group(0) @binding(3) var<storage, read> texels: array<u32>;       // RGBA, 8 bits each, row by row

struct Vertex {
    @builtin(position) pos_clip: vec4f,
    @location(0) uv: vec2f,
    @location(1) @interpolate(flat) surface: u32,
}

const NORMALS = array(
    vec3f(1, 0, 0), vec3f(-1, 0, 0), vec3f(0, 1, 0), vec3f(0, -1, 0), vec3f(0, 0, 1), vec3f(0, 0, -1),
);

// UV of corner 0…3 of face direction 0…5; v = 0 is the tile's first row.
const UVS = array(
    vec2f(0, 1), vec2f(0, 0), vec2f(1, 0), vec2f(1, 1),
    vec2f(1, 1), vec2f(0, 1), vec2f(0, 0), vec2f(1, 0),
    vec2f(0, 1), vec2f(0, 0), vec2f(1, 0), vec2f(1, 1),
    vec2f(0, 0), vec2f(1, 0), vec2f(1, 1), vec2f(0, 1),
    vec2f(0, 1), vec2f(1, 1), vec2f(1, 0), vec2f(0, 0),
    vec2f(1, 1), vec2f(1, 0), vec2f(0, 0), vec2f(0, 1),
);

@vertex
fn vertex_main(@builtin(vertex_index) index: u32, @location(0) position: vec3f) -> Vertex {
    var uvs = UVS;
    var vertex: Vertex;
    vertex.surface = faces[index / 4u];
    vertex.uv = uvs[4u * (vertex.surface % 6u) + index % 4u];
    vertex.pos_clip = frame.view_proj * vec4f(position, 1.0);
    return vertex;
}

fn surface_color(surface: Surface, uv: vec2f) -> vec3f {
    if surface.tile_size.x == 0u {
        return surface.color;
    }
    let last = vec2f(surface.tile_size) - 1.0;
    let texel = vec2u(clamp(floor(uv * vec2f(surface.tile_size)), vec2f(0.0), last));
    let tile = unpack4x8unorm(texels[surface.first_texel + texel.y * surface.tile_size.x + texel.x]);
    return (1.0 - tile.a) * surface.color + tile.a * tile.rgb;
}

@fragment
fn fragment_main(vertex: Vertex) -> @location(0) vec4f {
    var normals = NORMALS;
    let normal = normals[vertex.surface % 6u];
    let diffuse = max(dot(normal, frame.sun_direction), 0.0) * frame.sun_color;
    let t = clamp(0.5 * normal.y + 0.5, 0.0, 1.0);
    let ambient = frame.ambient_strength * mix(frame.ground_color, frame.sky_color, t);
    let color = surface_color(surfaces[vertex.surface], vertex.uv) * (ambient + diffuse);
    return vec4f(clamp(color, vec3f(0.0), vec3f(1.0)), 1.0);
}
