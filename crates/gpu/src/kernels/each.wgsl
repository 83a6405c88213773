// One invocation a unit of work: `each(i)` of the file that includes this. Units past the end are its own to refuse.

const WG: u32 = 64u;
const COVERS_X: u32 = 64u;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    each(workgroup_number(id, count) * COVERS_X + local);
}
