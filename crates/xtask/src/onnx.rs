//! A stack of convolutions as an ONNX file: what onnxruntime is given.
//!
//! The messages carry the field numbers of `onnx.proto3`, and of its fields only those that are written here. Networks are
//! written as PyTorch exports them: NCHW, a group norm as an instance norm over reshaped channels, SiLU as a sigmoid and
//! a product.

use crate::stack::{Activation, EPS, Stack, bias_name, filter_name, norm_names};
use anyhow::{Result, anyhow};
use prost::Message;

const FLOAT: i32 = 1;
const INT64: i32 = 7;
/// Of the operators. The newest whose instance norm, resize and convolution are as they were exported for years.
const OPSET: i64 = 18;
/// Of the file's format, as of that opset.
const IR_VERSION: i64 = 8;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    /// 1 float, 2 int, 3 string, 7 ints.
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dim>,
}

/// `dim_value` is in a oneof: it is written even when it is zero, which no size here is.
#[derive(Clone, PartialEq, Message)]
struct Dim {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
}

impl Attribute {
    fn int(name: &str, i: usize) -> Self {
        Self { name: name.into(), i: i as i64, kind: 2, ..Self::default() }
    }

    fn ints(name: &str, ints: &[usize]) -> Self {
        Self { name: name.into(), ints: ints.iter().map(|&i| i as i64).collect(), kind: 7, ..Self::default() }
    }

    fn float(name: &str, f: f32) -> Self {
        Self { name: name.into(), f, kind: 1, ..Self::default() }
    }

    fn text(name: &str, text: &str) -> Self {
        Self { name: name.into(), s: text.into(), kind: 3, ..Self::default() }
    }
}

fn floats(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
    Tensor {
        dims: dims.iter().map(|&d| d as i64).collect(),
        data_type: FLOAT,
        name: name.into(),
        raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn shape(name: &str, dims: &[i64]) -> Tensor {
    Tensor {
        dims: vec![dims.len() as i64],
        data_type: INT64,
        name: name.into(),
        raw_data: dims.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

fn value(name: &str, [h, w, c]: [usize; 3]) -> ValueInfo {
    let dim = [1, c, h, w].iter().map(|&d| Dim { value: Some(d as i64) }).collect();
    let tensor = TensorType { element: FLOAT, shape: Some(Shape { dim }) };
    ValueInfo { name: name.into(), kind: Some(Type { tensor: Some(tensor) }) }
}

/// `[out, h, w, in]` to `[out, in, h, w]`.
fn oihw(values: &[f32], shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
    let [out, h, w, channels] = [shape[0], shape[1], shape[2], shape[3]];
    let area = h * w;
    let moved = (0..out * channels * area).map(|to| {
        let (o, c, at) = (to / (channels * area), to / area % channels, to % area);
        values[(o * area + at) * channels + c]
    });
    (vec![out, channels, h, w], moved.collect())
}

impl Graph {
    /// A node of one result, which takes the node's name and is given back.
    fn push(&mut self, name: String, op: &str, input: &[&str], attribute: Vec<Attribute>) -> String {
        self.node.push(Node {
            input: input.iter().map(|&name| name.into()).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.into(),
            attribute,
        });
        name
    }

    fn silu(&mut self, name: &str, x: &str) -> String {
        let sigmoid = self.push(format!("{name}.sigmoid"), "Sigmoid", &[x], vec![]);
        self.push(format!("{name}.silu"), "Mul", &[x, &sigmoid], vec![])
    }

    /// Its weight and bias are initializers `[channels, 1, 1]` already.
    fn group_norm(&mut self, layer: usize, x: &str, [h, w, c]: [usize; 3], groups: usize) -> String {
        let name = |part: &str| format!("{layer}.norm.{part}");
        let [weight, bias] = norm_names(layer);
        self.initializer.push(shape(&name("split"), &[1, groups as i64, -1]));
        self.initializer.push(shape(&name("whole"), &[1, c as i64, h as i64, w as i64]));
        self.initializer.push(floats(&name("ones"), &[groups], &vec![1.0; groups]));
        self.initializer.push(floats(&name("zeros"), &[groups], &vec![0.0; groups]));
        let split = self.push(name("x"), "Reshape", &[x, &name("split")], vec![]);
        let inputs = [&*split, &*name("ones"), &*name("zeros")];
        let eps = Attribute::float("epsilon", EPS);
        let normed = self.push(name("normed"), "InstanceNormalization", &inputs, vec![eps]);
        let whole = self.push(name("y"), "Reshape", &[&normed, &name("whole")], vec![]);
        let scaled = self.push(name("scaled"), "Mul", &[&whole, &weight], vec![]);
        self.push(name("shifted"), "Add", &[&scaled, &bias], vec![])
    }
}

/// The file's bytes. Its input is `x`, its output `y`, both NCHW.
///
/// # Errors
/// When the description does not fit together.
pub fn model(stack: &Stack) -> Result<Vec<u8>> {
    let shapes = stack.shapes().map_err(|cause| anyhow!(cause))?;
    let mut graph = Graph { name: stack.name.clone(), input: vec![value("x", stack.input)], ..Graph::default() };
    for parameter in stack.parameters().map_err(|cause| anyhow!(cause))? {
        let values = stack.values(&parameter);
        let (dims, values) = match parameter.shape.len() {
            4 => oihw(&values, &parameter.shape),
            _ if parameter.name.contains(".norm.") => (vec![values.len(), 1, 1], values),
            _ => (parameter.shape.clone(), values),
        };
        graph.initializer.push(floats(&parameter.name, &dims, &values));
    }
    // The name of each value: 0 the input's.
    let mut names = vec!["x".to_owned()];
    for (before, layer) in stack.layers.iter().enumerate() {
        let (number, from) = (before + 1, layer.from.unwrap_or(before));
        let name = |part: &str| format!("{number}.{part}");
        let mut x = names[from].clone();
        if let Some(groups) = layer.group_norm {
            x = graph.group_norm(number, &x, shapes[from], groups);
            x = graph.silu(&name("norm"), &x);
        }
        if layer.upsample > 1 {
            let scale = layer.upsample as f32;
            graph.initializer.push(floats(&name("scales"), &[4], &[1.0, 1.0, scale, scale]));
            let how = vec![
                Attribute::text("mode", "nearest"),
                Attribute::text("coordinate_transformation_mode", "asymmetric"),
                Attribute::text("nearest_mode", "floor"),
            ];
            x = graph.push(name("upsampled"), "Resize", &[&x, "", &name("scales")], how);
        }
        let attributes = vec![
            Attribute::ints("kernel_shape", &[layer.kernel; 2]),
            Attribute::ints("strides", &[layer.stride; 2]),
            Attribute::ints("pads", &[layer.kernel / 2; 4]),
            Attribute::ints("dilations", &[1; 2]),
            Attribute::int("group", layer.groups),
        ];
        x = graph.push(name("conv"), "Conv", &[&x, &filter_name(number), &bias_name(number)], attributes);
        if let Some(residual) = layer.residual {
            x = graph.push(name("sum"), "Add", &[&x, &names[residual]], vec![]);
        }
        x = match layer.activation {
            Activation::None => x,
            Activation::Relu => graph.push(name("relu"), "Relu", &[&x], vec![]),
            Activation::Silu => graph.silu(&name("act"), &x),
        };
        names.push(x);
    }
    // The last node gives the output its name.
    if let (Some(node), Some(shape)) = (graph.node.last_mut(), shapes.last()) {
        node.output = vec!["y".into()];
        graph.output.push(value("y", *shape));
    }
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "lantern".into(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
    };
    Ok(model.encode_to_vec())
}
