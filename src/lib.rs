//! tcplab

pub mod segment;

pub mod state;

pub mod event;

pub mod sys;
