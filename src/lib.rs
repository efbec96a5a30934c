//! tcplab

pub mod segment;

pub mod state;

pub mod event;

pub mod service;

pub mod engine;

pub mod sim;

pub mod view;

pub mod sink;

pub mod sys;

pub mod ui;

pub mod cli;

mod link;

mod stack;
