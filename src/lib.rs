//! tcplab

pub mod segment;

pub mod state;

pub mod event;

pub mod service;

pub mod engine;

pub mod sim;

mod link;

mod stack;
