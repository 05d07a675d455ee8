"""Compiles an OCI seccomp profile (standard input, JSON) with libseccomp and writes the BPF program.

Follows what the OCI runtimes do with libseccomp: unknown names are skipped, rules that repeat the default action
are left out, and several conditions on one argument become rules of their own.
"""
import ctypes
import json
import sys

lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
lib.seccomp_init.argtypes = [ctypes.c_uint32]
lib.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
lib.seccomp_arch_resolve_name.argtypes = [ctypes.c_char_p]
lib.seccomp_arch_resolve_name.restype = ctypes.c_uint32
lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


lib.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)]

ACTIONS = {
    "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x30000,
    "SCMP_ACT_ERRNO": 0x50000, "SCMP_ACT_TRACE": 0x7FF00000, "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_ALLOW": 0x7FFF0000}
OPERATORS = ["", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]


def action(name, errno):
    value = ACTIONS[name]
    return value | (1 if errno is None else errno) if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else value


def add(context, act, number, conditions):
    array = (Compare * max(len(conditions), 1))()
    for slot, arg in zip(array, conditions):
        slot.arg, slot.op = arg["index"], OPERATORS.index(arg["op"].removeprefix("SCMP_CMP_"))
        slot.a, slot.b = arg["value"], arg.get("valueTwo", 0)
    lib.seccomp_rule_add_array(context, act, number, len(conditions), array)


profile = json.load(sys.stdin)
default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
context = lib.seccomp_init(default)
lib.seccomp_attr_set(context, 8, 2)  # SCMP_FLTATR_CTL_OPTIMIZE: binary tree
for arch in profile.get("architectures", []):
    token = arch.removeprefix("SCMP_ARCH_").lower()
    lib.seccomp_arch_add(context, lib.seccomp_arch_resolve_name(token.encode()))
for rule in profile.get("syscalls", []):
    act = action(rule["action"], rule.get("errnoRet"))
    if act == default:
        continue
    args = rule.get("args") or []
    indexes = [arg["index"] for arg in args]
    for name in rule["names"]:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            print("unknown", name, file=sys.stderr)
            continue
        if len(set(indexes)) == len(indexes):
            add(context, act, number, args)
        else:
            for arg in args:
                add(context, act, number, [arg])
sys.stdout.flush()
lib.seccomp_export_bpf(context, 1)
