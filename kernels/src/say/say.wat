;; A kernel that logs, in WAT.
(module
  (import "holo" "log" (func $log (param $text i32) (param $size i32)))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 64)) ;; where memory is free

  (func (export "holo_abi") (result i32) (i32.const 1))

  ;; holo_alloc gives the host memory that is never freed, 0 for none.
  (func (export "holo_alloc") (param $size i32) (param $align i32) (result i32)
    (local $at i64) (local $missing i64)
    (local.set $at (i64.mul (i64.div_u
      (i64.add (i64.extend_i32_u (global.get $top)) (i64.extend_i32_u (i32.sub (local.get $align) (i32.const 1))))
      (i64.extend_i32_u (local.get $align))) (i64.extend_i32_u (local.get $align))))
    (local.set $missing (i64.sub
      (i64.add (local.get $at) (i64.extend_i32_u (local.get $size)))
      (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $missing) (i64.const 0)) (then
      (local.set $missing (i64.shr_u (i64.add (local.get $missing) (i64.const 65535)) (i64.const 16)))
      (if (i64.gt_u (local.get $missing) (i64.const 65536)) (then (return (i32.const 0))))
      (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $missing))) (i32.const -1)) (then (return (i32.const 0))))))
    (global.set $top (i32.wrap_i64 (i64.add (local.get $at) (i64.extend_i32_u (local.get $size)))))
    (i32.wrap_i64 (local.get $at)))

  ;; map say: an input and an output of u8. Copies, and logs the parameters.
  (func (export "holo_map_say") (param $d i32) (result i32)
    (if (i32.or (i32.or
        (i32.ne (i32.load offset=20 (local.get $d)) (i32.const 1))
        (i32.ne (i32.load offset=24 (local.get $d)) (i32.const 1)))
        (i32.or
        (i32.ne (i32.load8_u offset=68 (local.get $d)) (i32.const 5))
        (i32.ne (i32.load8_u offset=92 (local.get $d)) (i32.const 5))))
      (then (return (i32.const 1))))
    (call $log (i32.load offset=28 (local.get $d)) (i32.load offset=32 (local.get $d)))
    (memory.copy (i32.load offset=80 (local.get $d)) (i32.load offset=56 (local.get $d)) (i32.load offset=16 (local.get $d)))
    (i32.const 0)))
