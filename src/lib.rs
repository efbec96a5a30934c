//! tcplab

pub mod segment;

pub mod state;

pub mod event;

pub mod service;

pub mod view;

pub mod sink;
