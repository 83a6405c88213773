//! Pieces that networks share, written in primitives.
//!
//! `lantern_graph::fuse` recognises them by their shape: a change here needs its twin there. The tests of this crate
//! count what was recognised.

use lantern_graph::{Binary, Dim, Error, Graph, Index, NodeId, Reduction, Result, Shape, Unary, Window};

use crate::parameters::{Delta, Parameters};

fn last_axis(g: &Graph, op: &str, x: NodeId) -> Result<usize> {
    g.shape(x).rank().checked_sub(1).ok_or_else(|| wrong(op, "a scalar has no axis".into()))
}

fn wrong(op: &str, cause: String) -> Error {
    Error::new("graph.shape", format!("{op}: {cause}"), "check the shapes the model was built with")
}

/// Root mean square normalization over the last axis (Zhang and Sennrich 2019, arXiv 1910.07467).
///
/// x `[…, columns]`, weight `[columns]` → `[…, columns]`: `x / sqrt(mean(x²) + eps) · weight`.
pub fn rms_norm(g: &mut Graph, x: NodeId, weight: NodeId, eps: f32) -> Result<NodeId> {
    let axis = last_axis(g, "rms_norm", x)?;
    let Some(columns) = g.shape(x).back(0).fixed() else {
        return Err(wrong("rms_norm", format!("the last axis of {} is not fixed", g.shape(x))));
    };
    let squares = g.mul(x, x)?;
    let sum = g.sum(squares, axis)?;
    let mean = g.affine(sum, 1.0 / columns as f32, eps)?;
    let scale = g.unary(Unary::Rsqrt, mean)?;
    let normed = g.mul(x, scale)?;
    g.mul(normed, weight)
}

/// Over the last axis, shifted by the maximum so that exp cannot overflow.
pub fn softmax(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let axis = last_axis(g, "softmax", x)?;
    let max = g.reduce(Reduction::Max, x, axis)?;
    let shifted = g.sub(x, max)?;
    let exp = g.unary(Unary::Exp, shifted)?;
    let sum = g.sum(exp, axis)?;
    g.div(exp, sum)
}

/// `x · sigmoid(x)` (Hendrycks and Gimpel 2016; Elfwing et al. 2017).
pub fn silu(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let sigmoid = g.unary(Unary::Sigmoid, x)?;
    g.mul(x, sigmoid)
}

/// `silu(gate) · up`, both of one shape (Shazeer 2020, arXiv 2002.05202).
pub fn swiglu(g: &mut Graph, gate: NodeId, up: NodeId) -> Result<NodeId> {
    let silu = silu(g, gate)?;
    g.mul(silu, up)
}

/// Group normalization (Wu and He 2018, arXiv 1803.08494).
///
/// x `[n, h, w, channels]`, weight and bias `[channels]` → the same shape: per picture and group of neighbouring channels,
/// `(x − mean) / sqrt(variance + eps) · weight + bias`, the variance with divisor h · w · channels / groups.
pub fn group_norm(g: &mut Graph, x: NodeId, weight: NodeId, bias: NodeId, groups: usize, eps: f32) -> Result<NodeId> {
    let shape = g.shape(x).clone();
    let &[n, Dim::Fixed(h), Dim::Fixed(w), Dim::Fixed(channels)] = &shape.0[..] else {
        return Err(wrong("group_norm", format!("{shape} is not [n, height, width, channels], the last three fixed")));
    };
    if groups == 0 || !channels.is_multiple_of(groups) || h * w == 0 {
        return Err(wrong("group_norm", format!("{groups} groups of the channels of {shape}")));
    }
    let per_group = channels / groups;
    let share = 1.0 / (h * w * per_group) as f32;
    let grouped = g.reshape(x, [n, (h * w).into(), groups.into(), per_group.into()])?;
    let over_group = |g: &mut Graph, x: NodeId, add: f32| {
        let sum = g.sum(x, 3)?;
        let sum = g.sum(sum, 1)?;
        g.affine(sum, share, add)
    };
    let mean = over_group(g, grouped, 0.0)?;
    let centred = g.sub(grouped, mean)?;
    let squares = g.mul(centred, centred)?;
    let variance = over_group(g, squares, eps)?;
    let scale = g.unary(Unary::Rsqrt, variance)?;
    let normed = g.mul(centred, scale)?;
    let normed = g.reshape(normed, shape)?;
    let scaled = g.mul(normed, weight)?;
    g.add(scaled, bias)
}

/// A linear layer: weight `{name}.weight` `[out, in]`, where asked the bias `{name}.bias` `[out]`.
///
/// x `[rows, in]` → `[rows, out]`: `x Wᵀ + b`, and `scale · (x Aᵀ) Bᵀ` where the weight has a delta (Hu et al. 2021).
pub fn linear(g: &mut Graph, params: &Parameters, x: NodeId, name: &str, out: usize, bias: bool) -> Result<NodeId> {
    let width = g.shape(x).back(0).bound(g);
    let weight = params.matrix(g, &format!("{name}.weight"), &[out, width])?;
    let product = g.linear(x, weight.base)?;
    let y = biased(g, params, product, name, bias)?;
    let Some(Delta { down, up, scale }) = weight.delta else { return Ok(y) };
    let low = g.linear(x, down)?;
    let delta = g.linear(low, up)?;
    let delta = g.affine(delta, scale, 0.0)?;
    g.add(y, delta)
}

/// A convolution: weight `{name}.weight` `[out, kh, kw, channels]`, where asked the bias `{name}.bias` `[out]`.
///
/// x `[n, h, w, channels]` → `[n, oh, ow, out]`. A delta is a convolution with the same window to `rank` channels, then one
/// of 1 × 1.
pub fn conv(
    g: &mut Graph,
    params: &Parameters,
    x: NodeId,
    name: &str,
    out: usize,
    window: Window,
    bias: bool,
) -> Result<NodeId> {
    let channels = g.shape(x).back(0).bound(g);
    let shape = [out, window.kernel[0], window.kernel[1], channels];
    let weight = params.matrix(g, &format!("{name}.weight"), &shape)?;
    let product = g.conv2d(x, weight.base, window, 1)?;
    let y = biased(g, params, product, name, bias)?;
    let Some(Delta { down, up, scale }) = weight.delta else { return Ok(y) };
    let low = g.conv2d(x, down, window, 1)?;
    let delta = g.conv2d(low, up, Window::same(1), 1)?;
    let delta = g.affine(delta, scale, 0.0)?;
    g.add(y, delta)
}

fn biased(g: &mut Graph, params: &Parameters, x: NodeId, name: &str, bias: bool) -> Result<NodeId> {
    if !bias {
        return Ok(x);
    }
    let out = g.shape(x).back(0).bound(g);
    let bias = params.vector(g, &format!("{name}.bias"), out)?;
    g.add(x, bias)
}

/// Rows of the table `{name}.weight` `[rows, columns]` by number: ids `[n]` u32 → `[n, columns]`.
pub fn embedding(g: &mut Graph, params: &Parameters, ids: NodeId, name: &str, shape: [usize; 2]) -> Result<NodeId> {
    let table = params.matrix(g, &format!("{name}.weight"), &shape)?;
    let y = g.gather(table.base, ids)?;
    let Some(Delta { down, up, scale }) = table.delta else { return Ok(y) };
    let low = g.gather(up, ids)?;
    let delta = g.matmul(low, down, false, false)?;
    let delta = g.affine(delta, scale, 0.0)?;
    g.add(y, delta)
}

/// Both sides of a picture at least one latent pixel of `downscale`, and whole ones.
///
/// # Errors
/// `graph.shape`.
pub fn whole_latents(op: &str, downscale: usize, size: [usize; 2]) -> Result<()> {
    match size.iter().all(|side| *side > 0 && side.is_multiple_of(downscale)) {
        true => Ok(()),
        false => {
            Err(wrong(op, format!("height and width {size:?} are not multiples of {downscale} from {downscale} on")))
        }
    }
}

/// The mean under the window, what is padded counting as zeros (PyTorch's default). x `[n, h, w, c]` → `[n, oh, ow, c]`.
pub fn average_pool(g: &mut Graph, x: NodeId, window: Window) -> Result<NodeId> {
    let Some(channels) = g.shape(x).back(0).fixed() else {
        return Err(wrong("average_pool", format!("the channels of {} are not fixed", g.shape(x))));
    };
    let share = vec![1.0 / window.taps() as f32; channels * window.taps()];
    let mean = g.constant([channels, window.kernel[0], window.kernel[1], 1], &share)?;
    g.conv2d(x, mean, window, channels)
}

/// Rotary position embedding on adjacent pairs (Su et al. 2021, arXiv 2104.09864), as GGUF orders "llama" heads.
///
/// x `[rows, heads, head_dim]`, frequencies `[head_dim / 2, 1]`; row r stands at position `start + r`.
pub fn rope(g: &mut Graph, x: NodeId, frequencies: NodeId, start: Index) -> Result<NodeId> {
    let shape = g.shape(x).clone();
    let (&[rows, heads, head_dim], Some(width)) = (&shape.0[..], shape.back(0).fixed()) else {
        return Err(wrong("rope", format!("{shape} is not [rows, heads, head_dim]")));
    };
    if width % 2 != 0 {
        return Err(wrong("rope", format!("{shape}: the head dimension {head_dim} is odd")));
    }
    let one = Dim::Fixed(1);
    let positions = g.range(start, rows);
    let positions = g.reshape(positions, [rows, one, one, one])?;
    let angle = g.mul(positions, frequencies)?;
    let (cos, sin) = (g.unary(Unary::Cos, angle)?, g.unary(Unary::Sin, angle)?);

    let pairs = g.reshape(x, [rows, heads, Dim::Fixed(width / 2), Dim::Fixed(2)])?;
    let even = g.slice(pairs, 3, Index::Fixed(0), 1)?;
    let odd = g.slice(pairs, 3, Index::Fixed(1), 1)?;
    let (even_cos, odd_sin) = (g.mul(even, cos)?, g.mul(odd, sin)?);
    let (even_sin, odd_cos) = (g.mul(even, sin)?, g.mul(odd, cos)?);
    let (turned_even, turned_odd) = (g.sub(even_cos, odd_sin)?, g.add(even_sin, odd_cos)?);
    let joined = g.concat(&[turned_even, turned_odd], 3)?;
    g.reshape(joined, shape)
}

/// `−ln softmax(logits)[target]` of each row, in nats.
///
/// logits `[rows, classes]`, targets `[rows, 1]`: class numbers as f32 → `[rows, 1]`.
pub fn negative_log_likelihood(g: &mut Graph, logits: NodeId, targets: NodeId) -> Result<NodeId> {
    let shape = g.shape(logits).clone();
    let (2, rows, Some(classes)) = (shape.rank(), shape.back(1), shape.back(0).fixed()) else {
        return Err(wrong(
            "negative_log_likelihood",
            format!("logits {shape} are not [rows, classes], the last fixed"),
        ));
    };
    if *g.shape(targets) != Shape(vec![rows, Dim::Fixed(1)]) {
        return Err(wrong("negative_log_likelihood", format!("targets {} for logits {shape}", g.shape(targets))));
    }
    let max = g.reduce(Reduction::Max, logits, 1)?;
    let shifted = g.sub(logits, max)?;
    let exp = g.unary(Unary::Exp, shifted)?;
    let sum = g.sum(exp, 1)?;
    let log_sum = g.unary(Unary::Log, sum)?;

    let all = g.range(Index::Fixed(0), classes);
    let one_hot = g.binary(Binary::Equal, targets, all)?;
    let hit = g.mul(shifted, one_hot)?;
    let hit = g.sum(hit, 1)?;
    g.sub(log_sum, hit)
}

/// Mean cross-entropy of rows of logits, in nats.
///
/// logits `[rows, classes]`, targets `[rows, 1]`: class numbers as f32 → `[1, 1]`.
pub fn cross_entropy(g: &mut Graph, logits: NodeId, targets: NodeId) -> Result<NodeId> {
    let Some(rows) = g.shape(logits).back(1).fixed() else {
        return Err(wrong("cross_entropy", format!("the rows of {} are not fixed", g.shape(logits))));
    };
    let losses = negative_log_likelihood(g, logits, targets)?;
    let total = g.sum(losses, 0)?;
    g.affine(total, 1.0 / rows as f32, 0.0)
}
