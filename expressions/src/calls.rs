//! Where each function over values that are there is computed.

use crate::{arguments::Arguments, convert, error::Stop, functions::Function, strings, time, value::Value};

pub(crate) fn call<'a>(function: Function, arguments: &Arguments<'_, 'a>) -> Result<Value<'a>, Stop> {
    match function {
        Function::Size => strings::size(arguments),
        Function::Int => convert::int(arguments),
        Function::Uint => convert::uint(arguments),
        Function::Double => convert::double(arguments),
        Function::Num => convert::num(arguments),
        Function::String => convert::string(arguments),
        Function::Bool => convert::bool(arguments),
        Function::Bytes => convert::bytes(arguments),
        Function::Timestamp => time::timestamp(arguments),
        Function::Duration => time::duration(arguments),
        Function::Date => time::date(arguments),
        Function::Field(field) => time::field(field, arguments),
        _ => strings::call(function, arguments),
    }
}
