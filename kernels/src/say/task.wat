;; A general task, in WAT.
(module
  (import "holo" "len" (func $len (param $handle i32) (result i64)))
  (import "holo" "read" (func $read (param $handle i32) (param $offset i64) (param $to i32) (param $bytes i32) (result i32)))
  (import "holo" "write" (func $write (param $handle i32) (param $offset i64) (param $from i32) (param $bytes i32) (result i32)))
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

  ;; task copy: handle 1 takes all elements of handle 0, of 64 bits, 8,192 at a time
  ;; through the scratch. The status is that of the first refusal.
  (func (export "holo_task_copy") (param $d i32) (result i32)
    (local $done i64) (local $some i64) (local $bytes i32) (local $at i32) (local $status i32)
    (local.set $at (i32.load offset=36 (local.get $d)))
    (block $end (loop $next
      (local.set $some (i64.sub (call $len (i32.const 0)) (local.get $done)))
      (br_if $end (i64.le_s (local.get $some) (i64.const 0)))
      (if (i64.gt_s (local.get $some) (i64.const 8192)) (then (local.set $some (i64.const 8192))))
      (local.set $bytes (i32.shl (i32.wrap_i64 (local.get $some)) (i32.const 3)))
      (local.set $status (call $read (i32.const 0) (local.get $done) (local.get $at) (local.get $bytes)))
      (if (i32.eqz (local.get $status)) (then
        (local.set $status (call $write (i32.const 1) (local.get $done) (local.get $at) (local.get $bytes)))))
      (if (local.get $status) (then (return (local.get $status))))
      (local.set $done (i64.add (local.get $done) (local.get $some)))
      (br $next)))
    (i32.const 0)))
