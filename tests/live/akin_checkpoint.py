"""Checkpoints taken apart and put together again (core/nn/checkpoint.h has the layout)."""
import hashlib
import json
import struct

MAGIC = b"AKINCKPT"


def read(data):
    """(version, configuration, [[name, type, values as bytes]])"""
    assert data[:8] == MAGIC and hashlib.sha256(data[:-32]).digest() == data[-32:]
    version, n = struct.unpack_from("<II", data, 8)
    config, at = json.loads(data[16:16 + n]), 16 + n
    count, = struct.unpack_from("<I", data, at)
    at += 4
    heads = []
    for _ in range(count):
        name, kind, numbers = struct.unpack_from("<32sIQ", data, at)
        heads.append((name, kind, numbers))
        at += 44
    tensors = []
    for name, kind, numbers in heads:
        size = numbers * (2 if kind else 4)
        tensors.append([name.rstrip(b"\0").decode(), kind, data[at:at + size]])
        at += size
    return version, config, tensors


def write(version, config, tensors):
    text = json.dumps(config).encode()
    data = MAGIC + struct.pack("<II", version, len(text)) + text + struct.pack("<I", len(tensors))
    for name, kind, values in tensors:
        data += struct.pack("<32sIQ", name.encode(), kind, len(values) // (2 if kind else 4))
    data += b"".join(values for _, _, values in tensors)
    return data + hashlib.sha256(data).digest()


def other_model(data, seed=1):
    """A model that sees pictures otherwise: some rows of its whitening count for less."""
    version, config, tensors = read(data)
    dims = config["descriptor"]["dims"]
    for tensor in tensors:
        if tensor[0] == "whitening":
            code = "e" if tensor[1] else "f"
            values = list(struct.unpack(f"<{len(tensor[2]) // struct.calcsize(code)}{code}",
                                        tensor[2]))
            row = len(values) // dims
            for i in range(dims):
                if (i * 7 + seed) % 3:
                    values[i * row:(i + 1) * row] = [v * 0.1 for v in values[i * row:(i + 1) * row]]
            tensor[2] = struct.pack(f"<{len(values)}{code}", *values)
    return write(version, config, tensors)


def fewer_dimensions(data):
    """The same model with half the numbers in a vector."""
    version, config, tensors = read(data)
    config["descriptor"]["dims"] //= 2
    for tensor in tensors:
        if tensor[0] == "whitening":
            tensor[2] = tensor[2][:len(tensor[2]) // 2]
    tensors = [t for t in tensors if t[0] != "smoothing"]
    return write(version, config, tensors)
